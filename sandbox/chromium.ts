import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Page } from 'playwright-core'
import { programPaths } from './debian-packages.ts'

/** A real browser without a screen. */
export interface Chromium extends AsyncDisposable {
  /** A page in a profile of its own: whoever sits there is signed in nowhere. Its caller closes it. */
  newPage(): Promise<Page>
  /** Ends it, its pages included. */
  stop(): Promise<void>
}

const execute = promisify(execFile)
/** For each thing that a page is asked to do or to show; machines are busy. */
const patienceMs = 60_000

/**
 * Starts Chromium, which is installed where it is missing. It verifies certificates as ever, and trusts the authorities that the
 * machine trusts and these, PEM.
 *
 * The caller stops it. It ends with this process, too.
 *
 * @throws Error of one line when there is none, and it cannot be installed here.
 */
export async function startChromium(authorities: readonly string[]): Promise<Chromium> {
  const [executablePath = '', certutil = ''] = await programPaths([
    { names: ['chromium-headless-shell', 'chromium', 'google-chrome'], package: 'chromium-headless-shell' },
    { names: ['certutil'], package: 'libnss3-tools' },
  ])
  const home = await mkdtemp(join(tmpdir(), 'postern-chromium-'))
  await using resources = new AsyncDisposableStack()
  resources.defer(() => rm(home, { recursive: true, force: true }))
  await trust(home, certutil, authorities)
  const browser = await chromium.launch({ executablePath, env: { ...process.env, HOME: home } })
  resources.defer(() => browser.close())
  const ending = resources.move()
  const stop = (): Promise<void> => ending.disposeAsync()
  return {
    async newPage() {
      const page = await browser.newPage()
      page.setDefaultTimeout(patienceMs)
      return page
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Chromium on Linux looks into the NSS database of its user for authorities beside its own. */
async function trust(home: string, certutil: string, authorities: readonly string[]): Promise<void> {
  const database = join(home, '.pki', 'nssdb')
  await mkdir(database, { recursive: true })
  await execute(certutil, ['-N', '-d', `sql:${database}`, '--empty-password'])
  for (const [index, authority] of authorities.entries()) {
    const path = join(home, `authority-${index}.crt`)
    await writeFile(path, authority)
    await execute(certutil, ['-A', '-d', `sql:${database}`, '-n', `authority ${index}`, '-t', 'C,,', '-i', path])
  }
}
