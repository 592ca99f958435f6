import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import type { Login } from '../../src/client/login-cache.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

/** Several portals on one laptop, and what is told of them without asking anybody. */

/** Of the machine; not an argument in place, so that it is not taken for a package's. */
const MAKE_PIPE = 'mkfifo'

const [WORK, HOME, OLD] = ['https://postern.example.com', 'https://postern.home.example', 'https://postern.old.example']

let issuer: StagedIssuer
let laptop: Laptop

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    token_endpoint: `${issuer.url}/token`,
    revocation_endpoint: `${issuer.url}/revoke`,
  })
})
afterAll(async () => {
  await issuer.close()
})
beforeEach(() => {
  laptop = createLaptop()
  issuer.seen.splice(0)
})
afterEach(() => {
  issuer.staged.clear()
  laptop.dispose()
})

async function keep(changes: Partial<Login>): Promise<string> {
  const login: Login = {
    version: 1,
    portal: WORK,
    portalCertificateAuthority: '',
    issuer: issuer.url,
    issuerCertificateAuthority: issuer.certificateAuthority,
    clientID: 'postern',
    idToken: await issuer.sign(),
    refreshToken: 'the-refresh-token',
    signedInAtMs: 1,
    expiresAtMs: Date.now() + 600_000,
    refreshAtMs: Date.now() + 540_000,
    refreshFailedAtMs: 0,
    refreshFailure: '',
    ...changes,
  }
  const path = loginPath(laptop.cacheDirectory, login)
  saveLogin({ path, login })
  return path
}

const status = (...args: string[]): Promise<CommandResult> => laptop.run(['client', 'status', ...args])

test('nobody is signed in', async () => {
  expect(await status()).toEqual({
    exitCode: 1,
    stdout: `logins are kept in ${laptop.cacheDirectory}\n`,
    stderr: 'You are not signed in; run: postern client login --portal https://HOST\n',
  })
})

test('every login is told of, what is wrong with it, and what to do', async () => {
  await keep({})
  await keep({ portal: HOME, expiresAtMs: Date.now() - 60_000, refreshAtMs: 1, refreshFailure: 'the network was off' })
  await keep({ portal: OLD, expiresAtMs: 1, refreshAtMs: 1, refreshToken: '' })
  const { exitCode, stdout, stderr } = await status()
  expect(exitCode).toBe(0)
  expect(stdout).toMatch(/^https:\/\/postern\.example\.com +https:\S+ +valid +ends in 10 min$/m)
  expect(stdout).toMatch(/^https:\/\/postern\.home\.example +https:\S+ +renewable +ended 6\d s ago$/m)
  expect(stdout).toMatch(/^https:\/\/postern\.old\.example +https:\S+ +ended +ended \d+ h ago$/m)
  expect(stderr).toBe(
    `${HOME}: the last renewal failed: the network was off\n` +
      `${OLD}: it has ended; run: postern client login --portal ${OLD}\n`,
  )
  expect(issuer.seen).toEqual([])
  expect(await status('--portal', OLD)).toMatchObject({ exitCode: 1 })
})

test('a program can read it, and no token is in it', async () => {
  const path = await keep({})
  const { exitCode, stdout } = await status('-o', 'json')
  expect(exitCode).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    cacheDirectory: laptop.cacheDirectory,
    logins: [
      {
        file: path,
        portal: WORK,
        issuer: issuer.url,
        signedInAt: '1970-01-01T00:00:00.001Z',
        expiresAt: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
        state: 'valid',
        problem: '',
      },
    ],
    unusable: [],
  })
  expect(stdout).not.toContain('the-refresh-token')
})

test('files that cannot be used do not hide the others', async () => {
  await keep({})
  const [open, damaged] = [await keep({ portal: HOME }), await keep({ portal: OLD })]
  chmodSync(open, 0o644)
  writeFileSync(damaged, '{"version": 1,', { mode: 0o600 })
  const { exitCode, stdout, stderr } = await status()
  expect(exitCode).toBe(0)
  expect(stdout).toContain('valid')
  expect(stderr.split('\n').toSorted()).toEqual(
    [
      '',
      `${open} is open to other accounts; run: chmod 600 '${open}'`,
      `${damaged}: it is damaged; sign in again, or remove it`,
    ].toSorted(),
  )
})

test('POSTERN_PORTAL names the portal of every command, and a flag beats it', async () => {
  await keep({})
  await keep({ portal: HOME, idToken: await issuer.sign({ sub: 'me-at-home' }) })
  const subject = async (args: string[], env: NodeJS.ProcessEnv): Promise<unknown> => {
    const { stdout } = await laptop.run(['client', 'token', ...args], env)
    const { status: credential } = JSON.parse(stdout) as { status: { token: string } }
    const payload = Buffer.from(credential.token.split('.')[1] ?? '', 'base64url').toString()
    return (JSON.parse(payload) as { sub: unknown }).sub
  }
  expect(await laptop.run(['client', 'token'])).toMatchObject({ exitCode: 64 })
  expect(await subject([], { POSTERN_PORTAL: 'postern.home.example' })).toBe('me-at-home')
  expect(await subject(['--portal', WORK], { POSTERN_PORTAL: HOME })).toBe('person-ana')
  const { stdout } = await laptop.run(['client', 'status'], { POSTERN_PORTAL: HOME })
  expect(stdout).not.toContain(WORK)
  expect(await laptop.run(['client', 'status'], { POSTERN_PORTAL: 'not a portal' })).toMatchObject({ exitCode: 64 })
})

test('signing out of all portals forgets and revokes every login', async () => {
  issuer.staged.set('/revoke', (_request, response) => response.writeHead(200).end())
  const files = [await keep({}), await keep({ portal: HOME }), await keep({ portal: OLD, refreshToken: '' })]
  expect(await laptop.run(['client', 'logout'])).toMatchObject({ exitCode: 64 })
  const { exitCode, stdout, stderr } = await laptop.run(['client', 'logout', '--all'])
  expect(exitCode).toBe(0)
  // Nobody is there, and that is said in a line for each.
  const untold =
    /^the gateway could not be told, so what runs there goes on until its token ends: https:\S+ cannot be reached \(\w+\)/
  for (const line of stderr.trimEnd().split('\n')) expect(line).toMatch(untold)
  expect(stderr.trimEnd().split('\n')).toHaveLength(3)
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual(
    [WORK, HOME, OLD].map((portal) => `You are signed out of ${portal}.`).toSorted(),
  )
  expect(files.filter((file) => existsSync(file))).toEqual([])
  expect(issuer.seen.filter((path) => path === '/revoke')).toHaveLength(2)
  expect((await laptop.run(['client', 'logout', '--all'])).stderr).toBe('There is no login to forget.\n')
})

test('a login that is unsafe is told of at the end, and keeps no other from being used or ended', async () => {
  issuer.staged.set('/revoke', (_request, response) => response.writeHead(200).end())
  const kept = await keep({ refreshToken: 'of-the-kept' })
  const unsafe = await keep({ issuer: 'https://other.example.com' })
  const elsewhere = await keep({ portal: HOME })
  chmodSync(unsafe, 0o644)
  expect(await laptop.run(['client', 'token', '--portal', WORK, '--issuer', issuer.url])).toMatchObject({
    exitCode: 0,
    stderr: '',
  })
  const { exitCode, stdout, stderr } = await laptop.run(['client', 'logout', '--all'])
  expect(exitCode).toBe(1)
  expect(stderr.trimEnd().split('\n').at(-1)).toBe(
    `postern: ${unsafe} is open to other accounts; run: chmod 600 '${unsafe}'`,
  )
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual(
    [`You are signed out of ${WORK} with ${issuer.url}.`, `You are signed out of ${HOME}.`].toSorted(),
  )
  expect([kept, unsafe, elsewhere].filter((file) => existsSync(file))).toEqual([unsafe])
  expect(issuer.seen.filter((path) => path === '/revoke')).toHaveLength(2)
})

test('signing out where only one issuer is named leaves an unsafe file of another alone', async () => {
  issuer.staged.set('/revoke', (_request, response) => response.writeHead(200).end())
  const [kept, unsafe] = [await keep({}), await keep({ issuer: 'https://other.example.com' })]
  chmodSync(unsafe, 0o644)
  expect(await laptop.run(['client', 'logout', '--issuer', issuer.url])).toMatchObject({ exitCode: 0 })
  expect([kept, unsafe].filter((file) => existsSync(file))).toEqual([unsafe])
  const { exitCode, stderr } = await laptop.run(['client', 'logout', '--portal', WORK, '--issuer', issuer.url])
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`run: chmod 600 '${unsafe}'`)])
})

test.skipIf(process.platform === 'win32')('what is no file of a login is told of at once', async () => {
  const path = await keep({})
  const [pipe, directory, far] = ['pipe', 'directory', 'far'].map((name) => join(dirname(path), `${name}.json`))
  execFileSync(MAKE_PIPE, ['-m', '600', pipe ?? ''])
  mkdirSync(directory ?? '')
  writeFileSync(far ?? '', readFileSync(path, 'utf8').replace(/"expiresAtMs": \d+/, '"expiresAtMs": 1e300'), {
    mode: 0o600,
  })
  const { exitCode, stderr } = await status()
  expect(exitCode).toBe(0)
  expect(stderr.trimEnd().split('\n').toSorted()).toEqual([
    `${directory} is no ordinary file; remove it and try again`,
    `${far}: it is damaged; sign in again, or remove it`,
    `${pipe} is no ordinary file; remove it and try again`,
  ])
  expect(await laptop.run(['client', 'token', '--issuer', issuer.url])).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await laptop.run(['client', 'token'])).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `postern: ${directory} is no ordinary file; remove it and try again\n`,
  })
})

test('a cache in another place is another laptop, as far as logins go', async () => {
  await keep({})
  const { exitCode, stdout } = await status('--cache-directory', join(laptop.home, 'elsewhere'))
  expect([exitCode, stdout]).toEqual([1, `logins are kept in ${join(laptop.home, 'elsewhere')}\n`])
})
