import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { signIn } from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { portalDirectory, readLogin, type CachedLogin, type Login } from '../../src/client/login-cache.ts'
import { saveLogin } from '../../src/client/login-cache-writer.ts'
import { connectPortal } from '../../src/client/portal.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { nextSecond } from '../support/next-second.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'

// Attacks E16, E17, E24.

const authority = createCertificateAuthority()
let provider: IdentityProvider
let portal: StartedPortal
let laptop: Laptop

beforeAll(async () => {
  provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
  portal = await startPortal({
    issuers: [
      {
        url: provider.issuer,
        certificateAuthority: provider.certificateAuthority,
        audiences: [provider.clientId],
        client: { id: provider.clientId, scopes: ['openid', 'email', 'groups', 'offline_access'] },
        claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
        claimValidationRules: [],
      },
    ],
  })
})
afterAll(async () => {
  await portal.stop()
  await provider.stop()
})
beforeEach(() => {
  laptop = createLaptop()
  writeFileSync(join(laptop.home, 'ca.crt'), portal.certificateAuthority)
})
afterEach(() => {
  laptop.dispose()
  provider.setDown(false)
  expect(provider.errors).toEqual([])
})

const loginArguments = (): string[] => [
  ...['client', 'login', '--portal', portal.url],
  ...['--certificate-authority', join(laptop.home, 'ca.crt'), '--no-browser'],
]

async function logIn(person = people.ana): Promise<CommandResult & { readonly page: string }> {
  const command = laptop.start(loginArguments())
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const { body } = await signIn(provider, person, address)
  return { ...(await command.result), page: body }
}

const token = (): Promise<CommandResult> => laptop.run(['client', 'token', '--portal', portal.url])
const tokenIn = ({ stdout }: CommandResult): string =>
  (JSON.parse(stdout) as { status: { token: string } }).status.token

function cached(): CachedLogin {
  const directory = portalDirectory(laptop.cacheDirectory, portal.url)
  const name = readdirSync(directory).find((file) => file.endsWith('.json')) ?? 'none'
  const login = readLogin(join(directory, name))
  if (login === null) throw new Error('there is no login')
  return login
}

/** Turns the clock on for the kept login. */
function change(changes: Partial<Login>): void {
  const { path, login } = cached()
  saveLogin({ path, login: { ...login, ...changes } })
}
const expire = (): void => {
  change({ refreshAtMs: 0, expiresAtMs: 0 })
}

test('a login from the first sign-in to the sign-out, seen through what is printed', async () => {
  onTestFinished(nextSecond)
  const refused = await token()
  expect(refused).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `postern: you are not signed in to ${portal.url}; run: postern client login --portal ${portal.url}\n`,
  })

  const login = await logIn()
  expect(login).toMatchObject({ exitCode: 0 })
  expect(login.stdout).toMatch(new RegExp(`^You are signed in to ${portal.url} as ana@example.com, and stay so\\.\n`))
  expect(login.page).toContain('You are signed in')
  expect(login.page).toContain(`You are ana@example.com at ${portal.url}.`)

  const before = { ...provider.counts }
  const first = await token()
  expect(first).toMatchObject({ exitCode: 0, stderr: '' })
  expect(JSON.parse(first.stdout)).toMatchObject({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    status: { expirationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as unknown },
  })
  expect(tokenIn(await token())).toBe(tokenIn(first))
  expect(provider.counts).toEqual(before)

  const whoami = await laptop.run(['client', 'whoami', '-o', 'json'])
  expect(JSON.parse(whoami.stdout)).toMatchObject({
    portal: portal.url,
    issuer: provider.issuer,
    username: 'ana@example.com',
    groups: ['payments-dev', 'everyone'],
  })

  const { refreshToken } = cached().login
  expire()
  const second = await token()
  expect(second).toMatchObject({ exitCode: 0, stderr: '' })
  // Within one second of the first the new token has the same claims, and with RS256 the same bytes: it is counted.
  expect(provider.counts.refreshes).toBe(before.refreshes + 1)
  expect(tokenIn(second)).toBe(cached().login.idToken)
  expect(cached().login.refreshToken).not.toBe(refreshToken)

  const logout = await laptop.run(['client', 'logout'])
  expect(logout).toEqual({ exitCode: 0, stdout: `You are signed out of ${portal.url}.\n`, stderr: '' })
  expect(provider.counts.revocations).toBe(before.revocations + 1)
  expect(await token()).toEqual(refused)
  expect(await laptop.run(['client', 'logout', '--portal', portal.url])).toMatchObject({ exitCode: 1 })
})

test('tokens are in a file of one person only, and nowhere in what is printed or shown', async () => {
  const { stdout, stderr, page } = await logIn()
  const { path, login } = cached()
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(portalDirectory(laptop.cacheDirectory, portal.url)).mode & 0o777).toBe(0o700)
  expect(statSync(laptop.cacheDirectory).mode & 0o777).toBe(0o700)
  for (const secret of [login.idToken, login.refreshToken]) {
    expect(secret).toMatch(/^[\w.-]{20,}$/)
    for (const shown of [stdout, stderr, page]) expect(shown).not.toContain(secret)
  }
})

test('the result of a login can be read by a program', async () => {
  const command = laptop.start([...loginArguments(), '-o', 'json'])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  await signIn(provider, people.omar, address)
  expect(JSON.parse((await command.result).stdout)).toMatchObject({
    portal: portal.url,
    username: 'omar@example.com',
    groups: ['viewers', 'everyone'],
    refreshable: true,
  })
})

test('the address asks for a code with S256, state and nonce, at a path and port of this login only', async () => {
  const addresses: URL[] = []
  for (const command of [laptop.start(loginArguments()), laptop.start(loginArguments())]) {
    const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
    command.process.kill()
    addresses.push(new URL(address))
  }
  const [one, other] = addresses.map(({ searchParams }) => searchParams) as [URLSearchParams, URLSearchParams]
  expect(Object.fromEntries(one)).toMatchObject({
    client_id: provider.clientId,
    response_type: 'code',
    code_challenge_method: 'S256',
    scope: 'openid email groups offline_access',
    prompt: 'consent',
    redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}$/) as unknown,
  })
  for (const name of ['state', 'nonce', 'code_challenge', 'redirect_uri']) {
    expect(one.get(name)?.length).toBeGreaterThanOrEqual(43)
    expect(one.get(name)).not.toBe(other.get(name))
  }
})

test('a person may ask to prove anew who they are', async () => {
  const command = laptop.start([...loginArguments(), '--prompt', 'login'])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  expect(new URL(address).searchParams.get('prompt')).toBe('login consent')
  await signIn(provider, people.ana, address)
  expect(await command.result).toMatchObject({ exitCode: 0 })
})

test('a callback with another state is refused, and the login it did not belong to goes on', async () => {
  const command = laptop.start(loginArguments())
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const redirect = new URL(address).searchParams.get('redirect_uri') ?? ''
  const before = provider.counts.refusals
  const forged = await fetch(`${redirect}?code=stolen&state=guess&iss=${encodeURIComponent(provider.issuer)}`)
  expect(forged.status).toBe(400)
  expect(await forged.text()).toContain('does not belong to the login')
  expect(provider.counts.refusals).toBe(before)
  await signIn(provider, people.ana, address)
  expect(await command.result).toMatchObject({ exitCode: 0 })
})

describe('when the ID token has ended', () => {
  test('20 processes at once cause one refresh, and all get its token', async () => {
    await logIn()
    expire()
    const before = { ...provider.counts }
    const results = await Promise.all(Array.from({ length: 20 }, token))
    expect(results.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(results.map(() => [0, '']))
    expect(new Set(results.map(tokenIn)).size).toBe(1)
    expect(provider.counts).toMatchObject({ refreshes: before.refreshes + 1, refusals: before.refusals })
  })

  test('and the refresh token too, each process says so, and the issuer is asked once', async () => {
    await logIn()
    change({ refreshAtMs: 0, expiresAtMs: 0, refreshToken: 'revoked' })
    const before = provider.counts.refusals
    const results = await Promise.all(Array.from({ length: 5 }, token))
    for (const { exitCode, stdout, stderr } of results) {
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(
        new RegExp(
          `^postern: your login at ${portal.url} has ended.*; run: postern client login --portal ${portal.url}\n$`,
        ),
      )
    }
    expect(await token()).toMatchObject({ exitCode: 1 })
    expect(provider.counts.refusals).toBe(before + 1)

    expect(await logIn()).toMatchObject({ exitCode: 0 })
    expect(await token()).toMatchObject({ exitCode: 0 })
  })

  test('while the issuer is down, it says so, and works again afterwards', async () => {
    await logIn()
    expire()
    provider.setDown(true)
    const failed = await token()
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' })
    expect(failed.stderr).toMatch(/^postern: https:\/\/127\.0\.0\.1:\d+ cannot be reached \(\w+\); .*\n$/)
    provider.setDown(false)
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

test('a token that is about to end outlives an issuer that is down, which is not asked each time', async () => {
  await logIn()
  change({ refreshAtMs: 0 })
  provider.setDown(true)
  const before = provider.counts.discoveries
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  provider.setDown(false)
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  expect(provider.counts.discoveries).toBe(before)
  change({ refreshFailedAtMs: Date.now() - 60_000 })
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  expect(provider.counts.discoveries).toBe(before + 1)
})

test('a login in a file that others can read is refused, with the remedy', async () => {
  await logIn()
  const { path } = cached()
  chmodSync(path, 0o644)
  expect(await token()).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `postern: ${path} is open to other accounts; run: chmod 600 '${path}'\n`,
  })
})

test('a damaged file is as good as none, and the next login replaces it', async () => {
  await logIn()
  writeFileSync(cached().path, '{"version": 1, "idToken"', { mode: 0o600 })
  expect((await token()).stderr).toContain('you are not signed in')
  expect(await logIn()).toMatchObject({ exitCode: 0 })
  expect(await token()).toMatchObject({ exitCode: 0 })
})

test('the authority of a portal is given once, and the only portal need not be named again', async () => {
  await logIn()
  const command = laptop.start(['client', 'login', '--no-browser'])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  await signIn(provider, people.omar, address)
  expect(await command.result).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(`signed in to ${portal.url} as omar@example.com`) as unknown,
  })
})

test('the page to sign out at the issuer is shown when asked for, and names no token', async () => {
  // Somebody of their own: a revoked login lets its person in again from the next second on.
  await logIn(people.admin)
  const { idToken } = cached().login
  const { exitCode, stderr } = await laptop.run(['client', 'logout', '--end-session', '--no-browser'])
  expect([exitCode, stderr]).toEqual([
    0,
    `Sign out at: ${provider.issuer}/session/end?client_id=${provider.clientId}\n`,
  ])
  expect(stderr).not.toContain(idToken)
  expect(portal.seen).toContain('DELETE /apis/postern.dev/v1alpha1/logins/current?reason=signed%20out')
  await expect(connectPortal(portal.url, portal.certificateAuthority).whoAmI(idToken)).rejects.toMatchObject({
    code: 'NotSignedIn',
  })
})

test('signing out works while the issuer is down, and says what is left', async () => {
  onTestFinished(nextSecond)
  await logIn()
  provider.setDown(true)
  const { exitCode, stderr } = await laptop.run(['client', 'logout'])
  expect(exitCode, stderr).toBe(0)
  expect(stderr).toContain('could not be revoked')
  expect(() => cached()).toThrow('no login')
})

describe('the browser', () => {
  const withBrowser = (): string[] => loginArguments().filter((argument) => argument !== '--no-browser')

  test.skipIf(process.platform !== 'linux')('is opened with the address', async () => {
    mkdirSync(join(laptop.home, 'bin'))
    writeFileSync(join(laptop.home, 'bin', 'xdg-open'), `#!/bin/sh\necho "$1" > ${laptop.home}/opened\n`, {
      mode: 0o755,
    })
    const command = laptop.start(withBrowser())
    const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
    await signIn(provider, people.ana, address)
    expect(await command.result).toMatchObject({ exitCode: 0 })
    expect(readFileSync(join(laptop.home, 'opened'), 'utf8').trim()).toBe(address)
  })

  test.skipIf(process.platform !== 'linux')('need not be there', async () => {
    const command = laptop.start(withBrowser())
    await command.line(/^No browser could be opened \(.*\); open the address yourself\.$/m)
    const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
    await signIn(provider, people.ana, address)
    expect(await command.result).toMatchObject({ exitCode: 0 })
  })
})

describe('a portal', () => {
  test('whose certificate is not trusted is not spoken to', async () => {
    const seen = portal.seen.length
    const { exitCode, stderr } = await laptop.run(['client', 'login', '--portal', portal.url, '--no-browser'])
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(
      /^postern: the certificate of 127\.0\.0\.1:\d+ is signed by an authority that this machine does not trust/,
    )
    expect(portal.seen).toHaveLength(seen)
  })

  test('that is no portal is told by its answer', async () => {
    writeFileSync(join(laptop.home, 'ca.crt'), provider.certificateAuthority)
    const { exitCode, stderr } = await laptop.run([
      ...['client', 'login', '--portal', provider.issuer, '--no-browser'],
      ...['--certificate-authority', join(laptop.home, 'ca.crt')],
    ])
    expect([exitCode, stderr]).toEqual([
      1,
      `postern: ${provider.issuer} does not answer as a Postern portal (/.well-known/postern: HTTP 404); look at the address\n`,
    ])
  })

  test('without the issuer that was named lists those it has', async () => {
    const { exitCode, stderr } = await laptop.run([...loginArguments(), '--issuer', 'https://other.example.com'])
    expect([exitCode, stderr]).toEqual([
      64,
      `postern: name one of the issuers of ${portal.url} with --issuer: ${provider.issuer}\n`,
    ])
  })
})
