import { spawn } from 'node:child_process'
import { access, constants, mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { withBuildLock } from './build-lock.ts'

/** A program of the machine. */
export interface PackagedProgram {
  /** What it may be called; the first that is on the path is taken. */
  readonly names: readonly string[]
  /** The package of Debian that brings it. */
  readonly package: string
}

/** Downloads included: 60 MB in some minutes, on a slow line. */
const installTimeoutMs = 10 * 60_000
const lineEveryMs = 30_000

/**
 * Paths of programs, in the order of the programs. What is missing is installed where that is ours to do: on Debian, as root. Any number of
 * processes may ask at once: one installs, the others wait. Where nothing is missing this takes no time.
 *
 * @throws Error of one line that says what to install, when it cannot be done here.
 */
export async function programPaths(programs: readonly PackagedProgram[]): Promise<readonly string[]> {
  const found = await Promise.all(programs.map(findProgram))
  if (!found.includes(null)) return found.filter((path) => path !== null)
  const lock = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'postern', 'debian-packages.lock')
  await mkdir(join(lock, '..'), { recursive: true })
  return withBuildLock(
    lock,
    async () => {
      const missing = (await Promise.all(programs.map(findProgram))).flatMap((path, index) =>
        path === null ? (programs[index]?.package ?? []) : [],
      )
      if (missing.length > 0) await install(missing)
      const paths = (await Promise.all(programs.map(findProgram))).filter((path) => path !== null)
      if (paths.length < programs.length)
        throw new Error(`${missing.join(' ')} is installed, but what it brings is not on the path`)
      return paths
    },
    () => undefined,
  )
}

async function findProgram({ names }: PackagedProgram): Promise<string | null> {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  for (const path of names.flatMap((name) => directories.map((directory) => join(directory, name)))) {
    const runnable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runnable) return path
  }
  return null
}

async function install(packages: readonly string[]): Promise<void> {
  const words = packages.join(' ')
  const isDebian = /^ID(_LIKE)?=.*debian/m.test(await readFile('/etc/os-release', 'utf8').catch(() => ''))
  if (!isDebian || process.getuid?.() !== 0)
    throw new Error(`programs are missing that the tests need; on Debian: apt-get install ${words}`)
  const started = performance.now()
  const tell = (): void => {
    const seconds = Math.round((performance.now() - started) / 1000)
    process.stderr.write(`installing ${words} (once, up to some minutes): ${seconds} s\n`)
  }
  tell()
  const ticker = setInterval(tell, lineEveryMs)
  const signal = AbortSignal.timeout(installTimeoutMs)
  try {
    await aptGet(['update'], signal)
    await aptGet(['install', '--yes', '--no-install-recommends', ...packages], signal)
  } finally {
    clearInterval(ticker)
  }
}

/** @throws Error with the end of what it said when it fails, or when `signal` ends it. */
async function aptGet(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const options = ['--quiet', '--option=Acquire::Retries=3', '--option=DPkg::Lock::Timeout=300']
  const child = spawn('apt-get', [...options, ...argv], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-maxSaid)
    })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`apt-get ${argv.join(' ')} failed: ${said}`)
}

/** Characters that are kept of what apt-get says. */
const maxSaid = 2000
