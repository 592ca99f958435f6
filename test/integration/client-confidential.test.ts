import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import {
  answerDevice,
  createBrowser,
  signIn,
  type Browser,
  type Page,
} from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { portalDirectory, readLogin, type CachedLogin, type Login } from '../../src/client/login-cache.ts'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { redirectURIOf } from '../../src/identity/authorization-server.ts'
import { nextSecond } from '../support/next-second.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'

/** People sign in at an issuer that wants a secret of its client: the portal has it, and no laptop. */

/** With what is encoded in a form, and what need not be. */
const SECRET = 'p%st+rn: s&cret=of/the portal~._-*'
const NEXT_SECRET = 'the-one-that-comes-after-it'

const authority = createCertificateAuthority()
let provider: IdentityProvider
let portal: StartedPortal
let operator: Laptop
let laptop: Laptop
/** All that the portal answered to anybody, and all that commands printed. */
let shown: string[]

beforeAll(async () => {
  operator = createLaptop()
  provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
  portal = await startGate()
})
afterAll(async () => {
  await portal.stop()
  await provider.stop()
  operator.dispose()
})

function startGate(): Promise<StartedPortal> {
  return startPortal({
    issuers: [
      {
        url: provider.issuer,
        certificateAuthority: provider.certificateAuthority,
        audiences: [provider.clientId],
        client: {
          id: provider.clientId,
          scopes: ['openid', 'email', 'groups', 'offline_access'],
          deviceAuthorization: true,
          confidential: { secret: { file: secretFile() }, authorizationParameters: { ui_locales: 'pt' } },
        },
        claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
        claimValidationRules: [],
      },
    ],
  })
}
beforeEach(() => {
  laptop = createLaptop()
  shown = []
  writeFileSync(join(laptop.home, 'ca.crt'), portal.certificateAuthority)
  writeFileSync(secretFile(), `${SECRET}\n`)
  register(SECRET)
})
afterEach(() => {
  provider.setDown(false)
  laptop.dispose()
  expect(provider.errors).toEqual([])
  for (const text of [...shown, ...portal.seen, ...portal.failures.map(({ stack }) => stack ?? '')])
    for (const secret of [SECRET, encodeURIComponent(SECRET), NEXT_SECRET]) expect(text).not.toContain(secret)
})

function secretFile(): string {
  return join(operator.home, 'client-secret')
}

function register(secret: string, authMethod?: 'client_secret_basic' | 'client_secret_post'): void {
  const redirectURI = redirectURIOf(portal.url, provider.issuer)
  provider.registerConfidential({ secret, redirectURI, ...(authMethod !== undefined && { authMethod }) })
}

function browser(): Browser {
  const certificateAuthority = provider.certificateAuthority + portal.certificateAuthority
  return createBrowser({ issuer: provider.issuer, certificateAuthority })
}

interface Outcome extends CommandResult {
  /** What the browser showed at last. */
  readonly page: string
}

async function logIn(
  visit = (address: string): Promise<Page> => signIn(provider, people.ana, address, browser()),
  ...more: string[]
): Promise<Outcome> {
  const authorityFile = join(laptop.home, 'ca.crt')
  const args = ['client', 'login', '--portal', portal.url, '--certificate-authority', authorityFile, '--no-browser']
  const command = laptop.start([...args, ...more])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const { body: page } = await visit(address)
  const result = await command.result
  shown.push(page, result.stdout, result.stderr)
  return { ...result, page }
}

async function token(): Promise<CommandResult> {
  const result = await laptop.run(['client', 'token', '--portal', portal.url])
  shown.push(result.stderr)
  return result
}

function cached(): CachedLogin {
  const directory = portalDirectory(laptop.cacheDirectory, portal.url)
  const name = readdirSync(directory).find((file) => file.endsWith('.json')) ?? 'none'
  const login = readLogin(join(directory, name))
  if (login === null) throw new Error('there is no login')
  return login
}

function change(changes: Partial<Login>): void {
  const { path, login } = cached()
  saveLogin({ path, login: { ...login, ...changes } })
}
const expire = (): void => {
  change({ refreshAtMs: 0, expiresAtMs: 0 })
}

describe.each(['client_secret_basic', 'client_secret_post'] as const)('a client with %s', (authMethod) => {
  let otherwise: StartedPortal
  beforeAll(async () => {
    otherwise = portal
    // What the issuer says of itself is kept for ten minutes.
    portal = await startGate()
  })
  afterAll(async () => {
    await portal.stop()
    portal = otherwise
  })
  beforeEach(() => {
    register(SECRET, authMethod)
  })

  test('a login from the first sign-in over a renewal to the sign-out, and no secret on the laptop', async () => {
    onTestFinished(nextSecond)
    const before = { ...provider.counts }
    const login = await logIn()
    expect(login).toMatchObject({ exitCode: 0 })
    expect(login.stderr).toContain(`Sign in at: ${portal.url}/oauth/`)
    expect(login.page).toContain(`You are ana@example.com at ${portal.url}.`)

    const first = cached().login
    expect(first).toMatchObject({ issuer: provider.issuer, issuerCertificateAuthority: portal.certificateAuthority })
    expire()
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(provider.counts.refreshes).toBe(before.refreshes + 1)
    expect(cached().login.refreshToken).not.toBe(first.refreshToken)
    expect(cached().login.refreshToken).not.toBe('')

    const kept = readFileSync(cached().path, 'utf8')
    shown.push(kept)
    const logout = await laptop.run(['client', 'logout'])
    expect(logout).toEqual({ exitCode: 0, stdout: `You are signed out of ${portal.url}.\n`, stderr: '' })
    expect(provider.counts.revocations).toBe(before.revocations + 1)
  })
})

test('the issuer never sees an address of the laptop, nor the laptop a token endpoint of the issuer', async () => {
  const visited: string[] = []
  const recording: Browser = {
    open: async (url, form) => {
      visited.push(url.href)
      return own.open(url, form)
    },
  }
  const own = browser()
  await logIn((address) => signIn(provider, people.ana, address, recording))
  const atIssuer = visited.filter((url) => url.startsWith(provider.issuer)).map((url) => new URL(url).searchParams)
  const asked = atIssuer.find((query) => query.has('client_id'))
  expect(Object.fromEntries(asked ?? [])).toMatchObject({
    redirect_uri: redirectURIOf(portal.url, provider.issuer),
    code_challenge_method: 'S256',
    prompt: 'consent',
    ui_locales: 'pt',
  })
  const { login } = cached()
  for (const url of visited) {
    for (const secret of [login.idToken, login.refreshToken, SECRET]) expect(url).not.toContain(secret)
    if (url.startsWith(provider.issuer)) expect(decodeURIComponent(url)).not.toContain('http://127.0.0.1')
  }
})

test('what everybody may ask tells of the portal, and of no secret', async () => {
  const own = browser()
  const discovery = await own.open(new URL('/.well-known/postern', portal.url))
  const { issuers } = JSON.parse(discovery.body) as { issuers: { authorizationServer: string }[] }
  const base = issuers[0]?.authorizationServer ?? ''
  expect(base).toBe(`${portal.url}/oauth/${new URL(provider.issuer).host}`)
  const metadata = await own.open(new URL(`${base}/.well-known/openid-configuration`))
  shown.push(discovery.body, metadata.body)
  expect(metadata.headers['cache-control']).toBe('no-store')
  expect(JSON.parse(metadata.body)).toMatchObject({
    issuer: provider.issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    revocation_endpoint: `${base}/revoke`,
    device_authorization_endpoint: `${base}/device_authorization`,
    token_endpoint_auth_methods_supported: ['none'],
  })
})

test('a code on another device goes through the portal, too', async () => {
  const certificateAuthority = provider.certificateAuthority
  const visit = (address: string): Promise<Page> =>
    answerDevice({ issuer: provider.issuer, certificateAuthority }, people.ana, address, 'allow')
  expect(await logIn(visit, '--device')).toMatchObject({ exitCode: 0 })
  expire()
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
})

test('a secret that is replaced in its file counts from then on, and logins go on', async () => {
  expect(await logIn()).toMatchObject({ exitCode: 0 })
  register(NEXT_SECRET)
  writeFileSync(secretFile(), NEXT_SECRET)
  expire()
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await logIn()).toMatchObject({ exitCode: 0 })
})

test('a wrong secret is told in one line, and to the operator; a login is not lost by it', async () => {
  expect(await logIn()).toMatchObject({ exitCode: 0 })
  const { refreshToken } = cached().login
  writeFileSync(secretFile(), 'not-the-secret-that-it-was')
  expire()
  const said = `postern: ${provider.issuer} answered 400: server_error (the identity provider refuses the client of the gateway, invalid_client); ask whoever runs it\n`
  expect(await token()).toEqual({ exitCode: 1, stdout: '', stderr: said })
  expect(cached().login.refreshToken).toBe(refreshToken)
  expect(portal.failures.at(-1)?.message).toContain(`refuses the client "${provider.clientId}"`)

  const failed = await logIn()
  expect(failed.exitCode).toBe(1)
  expect(failed.stderr.split('\n').slice(1).join('\n')).toBe(said)

  writeFileSync(secretFile(), SECRET)
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
})

test('who says no is told so in one line', async () => {
  const refused = await logIn(async (address) => {
    const own = browser()
    const follow = async (page: Page): Promise<Page> =>
      page.headers.location === undefined ? page : follow(await own.open(new URL(page.headers.location, page.url)))
    const form = await follow(await own.open(new URL(address)))
    return follow(await own.open(form.url, new URLSearchParams({ cancel: 'yes' })))
  })
  expect(refused.exitCode).toBe(1)
  expect(refused.stderr).toContain(
    `postern: ${provider.issuer} refused the login: access_denied (the person said no); sign in again, or ask whoever runs it\n`,
  )
  expect(refused.page).toContain('access_denied')
})

test('an issuer that is down is told in one line, and a login is not lost by it', async () => {
  expect(await logIn()).toMatchObject({ exitCode: 0 })
  expire()
  provider.setDown(true)
  expect(await token()).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: `postern: ${provider.issuer} answered HTTP 503; try again later\n`,
  })
  provider.setDown(false)
  expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
})

test('a revoked refresh token ends the login', async () => {
  onTestFinished(nextSecond)
  expect(await logIn()).toMatchObject({ exitCode: 0 })
  const { login } = cached()
  await laptop.run(['client', 'logout'])
  saveLogin({ path: loginPath(laptop.cacheDirectory, login), login: { ...login, refreshAtMs: 0, expiresAtMs: 0 } })
  const ended = await token()
  expect(ended.exitCode).toBe(1)
  expect(ended.stderr).toContain(
    `your login at ${portal.url} has ended (${provider.issuer} answered 400: invalid_grant`,
  )
})
