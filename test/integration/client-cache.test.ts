import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { readLogin, type Login } from '../../src/client/login-cache.ts'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { connectPortal } from '../../src/client/portal.ts'
import { giveBrowser } from '../support/kept-login.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

/** What becomes of a login when its file, its lock, the disk or the clock is not as it should be. */

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** For a process to start on a busy machine. */
const PATIENCE_MS = 30_000
const REMEDY = 'mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME'

let issuer: StagedIssuer
let portal: StartedPortal
let laptop: Laptop
/** Claims of the ID tokens that the token endpoint gives, and what it does before. */
let claims: Record<string, unknown>
let beforeTokens: () => void

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
    revocation_endpoint: `${issuer.url}/revoke`,
    id_token_signing_alg_values_supported: ['ES256'],
  })
  issuer.staged.set('/token', (_request, response) => {
    beforeTokens()
    void giveTokens(response)
  })
  issuer.staged.set('/revoke', (_request, response) => response.writeHead(200).end())
})
afterAll(async () => {
  await issuer.close()
})
beforeEach(async () => {
  portal = await startPortal({ issuers: [issuer.options()] })
  laptop = createLaptop()
  claims = {}
  beforeTokens = () => undefined
  issuer.seen.splice(0)
})
afterEach(async () => {
  laptop.dispose()
  await portal.stop()
})

async function giveTokens(response: ServerResponse): Promise<void> {
  const tokens = {
    access_token: 'a',
    token_type: 'Bearer',
    refresh_token: 'the-next',
    id_token: await issuer.sign(claims),
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens))
}

/** Keeps a login whose ID token has ended, with `changes` to it; gives back its file. */
async function keep(changes: Partial<Login> = {}): Promise<string> {
  const login: Login = {
    version: 1,
    portal: portal.url,
    portalCertificateAuthority: portal.certificateAuthority,
    issuer: issuer.url,
    issuerCertificateAuthority: issuer.certificateAuthority,
    clientID: 'postern',
    idToken: await issuer.sign(),
    refreshToken: 'the-refresh-token',
    signedInAtMs: 1,
    expiresAtMs: 2,
    refreshAtMs: 1,
    refreshFailedAtMs: 0,
    refreshFailure: '',
    ...changes,
  }
  const path = loginPath(laptop.cacheDirectory, login)
  saveLogin({ path, login })
  return path
}
/** A login whose ID token is about to end, and holds. */
const holding = (): Partial<Login> => ({ expiresAtMs: Date.now() + 50_000 })

const ARGUMENTS = (): string[] => ['client', 'token', '--portal', portal.url]
const token = (env: NodeJS.ProcessEnv = {}): Promise<CommandResult> => laptop.run(ARGUMENTS(), env)
const tokenIn = ({ stdout }: CommandResult): string =>
  (JSON.parse(stdout) as { status: { token: string } }).status.token
const asked = (): number => issuer.seen.filter((path) => path === '/token').length

describe('a refreshed login that cannot be kept', () => {
  test('is good for this call, and a line says so', async () => {
    const path = await keep()
    beforeTokens = () => {
      rmSync(path)
      mkdirSync(path)
    }
    const result = await token()
    expect(result).toMatchObject({
      exitCode: 0,
      stderr: `postern: your login was renewed for this call only: ${path} cannot be written (EISDIR); ${REMEDY}\n`,
    })
    expect(tokenIn(result).split('.')).toHaveLength(3)
  })

  /** Runs `postern` with the cache on a disk of its own that is full. */
  async function onFullDisk(...words: string[]): Promise<CommandResult & { readonly disk: string }> {
    const disk = join(laptop.home, 'disk')
    mkdirSync(disk)
    const script =
      'mount -t tmpfs -o size=256k tmpfs "$0" && cp -a "$1/." "$0" && { cat /dev/zero > "$0/filler" 2>/dev/null; shift; exec "$@"; }'
    const command = [process.execPath, MAIN, ...words, '--cache-directory', disk]
    const args = ['--map-root-user', '--mount', 'sh', '-c', script, disk, laptop.cacheDirectory, ...command]
    const ended = promisify(execFile)('unshare', args, { env: { PATH: process.env['PATH'] ?? '', HOME: laptop.home } })
    const { code, stdout, stderr } = await ended.then(
      (result) => ({ code: 0, ...result }),
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    )
    return { exitCode: code, stdout, stderr, disk }
  }

  test.skipIf(process.platform !== 'linux')('is not asked for, so that its refresh token is not spent', async () => {
    await keep()
    const { disk, ...result } = await onFullDisk(...ARGUMENTS())
    const path = loginPath(disk, { portal: portal.url, issuer: issuer.url, clientID: 'postern' })
    expect(result).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `postern: ${path} cannot be written (ENOSPC); ${REMEDY}\n`,
    })
    expect(asked()).toBe(0)
  })

  test.skipIf(process.platform !== 'linux')('keeps nobody from signing out', async () => {
    await keep()
    const { exitCode, stdout } = await onFullDisk('client', 'logout', '--portal', portal.url)
    expect([exitCode, stdout]).toEqual([0, `You are signed out of ${portal.url}.\n`])
    expect(issuer.seen).toContain('/revoke')
  })

  test.skipIf(process.platform !== 'linux')('is not wanted while the ID token holds', async () => {
    await keep(holding())
    expect(await onFullDisk(...ARGUMENTS())).toMatchObject({ exitCode: 0, stderr: '' })
    expect(asked()).toBe(0)
  })
})

describe('a lock', () => {
  const lockOf = (path: string): string => join(dirname(path), 'lock')

  test('that is damaged is made anew, in a renewal and a sign-out', async () => {
    const path = await keep()
    writeFileSync(lockOf(path), 'no database, and longer than its head is. '.repeat(40), { mode: 0o600 })
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readLogin(path)?.login.refreshToken).toBe('the-next')
    writeFileSync(lockOf(path), 'no database, and longer than its head is. '.repeat(40), { mode: 0o600 })
    expect(await laptop.run(['client', 'logout'])).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readLogin(path)).toBeNull()
  })

  test('that cannot be locked is told of with its file, and a token that holds goes on', async () => {
    const path = await keep()
    rmSync(lockOf(path), { force: true })
    mkdirSync(lockOf(path))
    const refused = {
      exitCode: 1,
      stdout: '',
      stderr: `postern: ${lockOf(path)} is no ordinary file; remove it and try again\n`,
    }
    expect(await token()).toEqual(refused)
    expect(await laptop.run(['client', 'logout'])).toEqual(refused)
    expect(asked()).toBe(0)
    await keep(holding())
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  })

  test('that cannot be locked ends a login before anybody is asked to sign in', async () => {
    const path = await keep()
    rmSync(lockOf(path), { force: true })
    mkdirSync(lockOf(path))
    const { exitCode, stderr } = await laptop.run(['client', 'login', '--portal', portal.url])
    expect([exitCode, stderr]).toEqual([1, `postern: ${lockOf(path)} is no ordinary file; remove it and try again\n`])
  })
})

describe('at a terminal', () => {
  const interactive = {
    KUBERNETES_EXEC_INFO: '{"apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}',
  }

  /** The person signs in at an address that their browser was given. */
  async function comeBack(address: string): Promise<void> {
    const parts = new URL(address).searchParams
    claims = { ...claims, nonce: parts.get('nonce') }
    const back = new URL(parts.get('redirect_uri') ?? '')
    back.search = new URLSearchParams({ code: 'the-code', state: parts.get('state') ?? '' }).toString()
    await (await fetch(back)).text()
  }

  test.skipIf(process.platform !== 'linux')(
    'somebody whose login was revoked reads one line, and is asked twice',
    async () => {
      const now = Math.floor(Date.now() / 1000)
      claims = { auth_time: now - 60 }
      const revoked = await issuer.sign(claims)
      await connectPortal(portal.url, portal.certificateAuthority).revokeLogin(revoked, 'current', '')
      await keep({ refreshToken: '' })
      const browser = giveBrowser(laptop)
      const command = laptop.start(ARGUMENTS(), { ...interactive, ...browser.env })
      const [first = ''] = await vi.waitUntil(() => browser.opened().length > 0 && browser.opened(), PATIENCE_MS)
      await comeBack(first)
      const [, second = ''] = await vi.waitUntil(() => browser.opened().length > 1 && browser.opened(), PATIENCE_MS)
      expect(new URL(second).searchParams.get('prompt')).toBe('login')
      claims = { auth_time: Math.floor(Date.now() / 1000) + 1 }
      await comeBack(second)
      expect(await command.result).toMatchObject({
        exitCode: 0,
        stderr: `postern: your login at ${portal.url} has ended; sign in at: ${first}\n`,
      })
    },
  )

  test.skipIf(process.platform !== 'linux')(
    'an attempt of a time that is yet to come keeps no browser closed',
    async () => {
      const path = await keep({ refreshToken: '' })
      const later = Date.now() + 3_600_000
      writeFileSync(`${path}.attempt`, JSON.stringify({ startedAtMs: later, failedAtMs: later, failure: 'no' }), {
        mode: 0o600,
      })
      const browser = giveBrowser(laptop)
      const command = laptop.start(ARGUMENTS(), { ...interactive, ...browser.env })
      const [address = ''] = await vi.waitUntil(() => browser.opened().length > 0 && browser.opened(), PATIENCE_MS)
      await comeBack(address)
      expect(await command.result).toMatchObject({ exitCode: 0 })
    },
  )
})

test.each([
  ['that ended', {}],
  ['that holds', holding()],
] as const)('a failure of a time that is yet to come keeps no token %s from being renewed', async (_token, changes) => {
  const path = await keep({ refreshFailedAtMs: Date.now() + 3_600_000, refreshFailure: 'no network', ...changes })
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  expect(asked()).toBe(1)
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ refreshFailedAtMs: 0, refreshToken: 'the-next' })
})
