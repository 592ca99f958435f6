import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer as createHTTPSServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { createCertificateAuthority, type CertificateAndKey } from '../../sandbox/certificates.ts'
import { portalDirectory, type Login } from '../../src/client/login-cache.ts'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { connectPortal } from '../../src/client/portal.ts'
import type { PortalIssuer } from '../../src/portal/discovery.ts'
import { exchange, type Page } from '../../sandbox/identity-provider/browser.ts'
import { LoginSealsSource } from '../../src/portal/oauth/login-seals.ts'
import { LOGIN_LIFETIME_MS } from '../../src/portal/oauth/pending-login.ts'
import { Secret } from '../../src/document/secret.ts'
import { LOGIN_TROUBLES, type LoginTrouble, type LoginTroubleName } from '../support/login-troubles.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { runAtTerminal } from '../support/person-at-terminal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

/** Brings about every row of the table in docs/troubleshooting.md, and holds what is printed against it. */

const NOWHERE = 'https://127.0.0.1:9'
const CLIENT_SECRET = 'the-secret-of-the-client'
const OTHER_ISSUER = 'https://other.example.com'

let issuer: StagedIssuer
/** Of the three, the one that is signed in to. */
let portal: StartedPortal
let ordinary: StartedPortal
let choosy: StartedPortal
let blind: StartedPortal
/** Looks groups up at the issuer, and in a directory. */
let asking: StartedPortal
let searching: StartedPortal
/** Its issuer's client has a secret. */
let confidential: StartedPortal
let laptop: Laptop
let discovered: PortalIssuer[]

beforeAll(async () => {
  issuer = await startStagedIssuer()
  discovered = []
  ordinary = await startPortal({ issuers: [issuer.options()], discovered })
  choosy = await startPortal({ issuers: [issuer.options({ audiences: ['kubernetes'] })], discovered })
  blind = await startPortal({ issuers: [issuer.options({ discoveryURL: NOWHERE })], discovered })
  asking = await startPortal({ issuers: [issuer.options({ groupsFrom: { kind: 'userinfo' } })], discovered })
  const graph = {
    kind: 'graph' as const,
    url: `${issuer.url}/graph`,
    certificateAuthority: issuer.certificateAuthority,
    memberClaim: 'sub',
    securityEnabledOnly: true,
    credentials: { clientID: 'connector', clientSecret: new Secret(CLIENT_SECRET), scope: 'directory' },
  }
  searching = await startPortal({ issuers: [issuer.options({ groupsFrom: graph })], discovered })
  const { client } = issuer.options()
  const secret = { value: new Secret(CLIENT_SECRET) }
  confidential = await startPortal({
    issuers: [issuer.options({ client: { ...client, confidential: { secret, authorizationParameters: {} } } })],
  })
})
afterAll(async () => {
  const portals = [ordinary, choosy, blind, asking, searching, confidential]
  await Promise.all([...portals.map((started) => started.stop()), issuer.close()])
})
beforeEach(() => {
  laptop = createLaptop()
  portal = ordinary
  discovered.splice(0, discovered.length, ownIssuer())
  issuer.discovery = {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/keys`,
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
    userinfo_endpoint: `${issuer.url}/userinfo`,
    device_authorization_endpoint: `${issuer.url}/device`,
    id_token_signing_alg_values_supported: ['ES256'],
  }
})
afterEach(() => {
  issuer.staged.clear()
  laptop.dispose()
})

function ownIssuer(flows: PortalIssuer['flows'] = {}): PortalIssuer {
  const { url, certificateAuthority } = issuer
  return { url, clientID: 'postern', scopes: ['openid'], certificateAuthority, flows }
}

function loginArguments(...more: string[]): string[] {
  const authority = join(laptop.home, 'ca.crt')
  writeFileSync(authority, portal.certificateAuthority)
  return ['client', 'login', '--portal', portal.url, '--no-browser', '--certificate-authority', authority, ...more]
}
const logIn = (...more: string[]): Promise<CommandResult> => laptop.run(loginArguments(...more))
const token = (env: NodeJS.ProcessEnv = {}): Promise<CommandResult> =>
  laptop.run(['client', 'token', '--portal', portal.url], env)

/** The browser comes back with this, `state` added; so many times, when the command asks again. */
async function comeBack(parameters: Record<string, string>, times = 1): Promise<CommandResult> {
  const command = laptop.start(loginArguments())
  for (let asked = 0; asked < times; asked += 1) {
    const [, address = ''] = await command.line(new RegExp(`(?:^Sign in at: (.*)$[^]*?){${asked + 1}}`, 'm'))
    const parts = new URL(address).searchParams
    nonce = parts.get('nonce') ?? ''
    prompts.push(`prompt=${parts.get('prompt') ?? ''} max_age=${parts.get('max_age') ?? ''}`)
    const back = new URL(parts.get('redirect_uri') ?? '')
    back.search = new URLSearchParams({ ...parameters, state: parts.get('state') ?? '' }).toString()
    await (await fetch(back)).text()
  }
  return command.result
}
/** What the issuer was asked to ask of the person, by each login in turn. */
const prompts: string[] = []

/** The browser goes by the portal to the issuer, which takes a while, and comes back with a code the same way. */
async function comeThroughPortal(tookMs = 0): Promise<CommandResult> {
  portal = confidential
  const command = laptop.start(loginArguments())
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const open = (url: string, cookie = ''): Promise<Page> =>
    exchange({
      url: new URL(url),
      certificateAuthority: portal.certificateAuthority,
      headers: { cookie },
      body: undefined,
    })
  const there = await open(address)
  const asked = new URL(there.headers.location ?? '').searchParams
  const { pending } = await new LoginSealsSource(JSON.stringify([issuer.url, 'postern'])).of(CLIENT_SECRET)
  const login = pending.open(asked.get('state') ?? '')
  if (login === null) throw new Error('the portal began no login')
  const state = pending.seal({ ...login, expiresAtMs: login.expiresAtMs - tookMs })
  const back = `${asked.get('redirect_uri') ?? ''}?${new URLSearchParams({ code: 'c', state }).toString()}`
  const { headers } = await open(back, there.headers['set-cookie']?.[0]?.split(';')[0])
  await (await fetch(headers.location ?? '')).text()
  return command.result
}

let nonce = ''

function answer(path: string, status: number, body: object): void {
  issuer.staged.set(path, (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
}

/** The token endpoint gives an ID token with these claims over those of a good one. */
function answerTokens(claims: Record<string, unknown> = {}, rest: object = {}): void {
  issuer.staged.set('/token', (_request, response) => {
    void issuer.sign({ nonce, ...claims }).then((idToken) => {
      const tokens = { access_token: 'a', token_type: 'Bearer', id_token: idToken, ...rest }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens))
    })
  })
}

const DEVICE = { device_code: 'd', user_code: 'WDJB-MJHT', verification_uri: 'https://sso.example.com/device' }

/** Keeps a login whose ID token has ended, with `changes` to it; gives back its file. */
async function keepLogin(changes: Partial<Login> = {}): Promise<string> {
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

const stranger = createCertificateAuthority()
/** Of a server that is neither the portal nor the issuer, for as long as a test runs. */
let elsewhere = NOWHERE

async function serve(certificate: CertificateAndKey): Promise<void> {
  const server = createHTTPSServer(certificate, (_request, response) => response.writeHead(404).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    elsewhere = NOWHERE
    server.close()
    server.closeAllConnections()
  })
  elsewhere = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function portalThere(certificate: CertificateAndKey): Promise<CommandResult> {
  await serve(certificate)
  const authority = join(laptop.home, 'ca.crt')
  writeFileSync(authority, stranger.certificate)
  return laptop.run(['client', 'login', '--portal', elsewhere, '--certificate-authority', authority])
}

async function issuerThere(
  certificate: CertificateAndKey,
  certificateAuthority = stranger.certificate,
): Promise<CommandResult> {
  await serve(certificate)
  discovered.splice(0, 1, { ...ownIssuer(), url: elsewhere, certificateAuthority })
  return logIn()
}

const misnamed = { hosts: ['another.example.com'] }
const OVERAGE = { groups: undefined, _claim_names: { groups: 'src1' } }
const NOBODY = 65534

/** To a process with it, half a minute is over in no time. */
const IN_NO_TIME =
  '--import=data:text/javascript,const%20now=performance.now.bind(performance);performance.now=()=>now()*100000'

function lockOf(path: string): string {
  return join(dirname(path), 'lock')
}

const interactive = {
  DISPLAY: ':0',
  KUBERNETES_EXEC_INFO: '{"apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}',
}

const BROUGHT_ABOUT: Readonly<Record<LoginTroubleName, () => Promise<CommandResult>>> = {
  'portal unreachable': () => laptop.run(['client', 'login', '--portal', NOWHERE]),
  'portal untrusted': () => laptop.run(['client', 'login', '--portal', portal.url]),
  'portal misnamed': () => portalThere(stranger.issueServer(misnamed)),
  'portal expired': () => portalThere(stranger.issueServer({ expired: true })),
  'no portal': () => {
    writeFileSync(join(laptop.home, 'ca.crt'), issuer.certificateAuthority)
    const authority = ['--certificate-authority', join(laptop.home, 'ca.crt')]
    return laptop.run(['client', 'login', '--portal', issuer.url, ...authority])
  },
  'several issuers': () => {
    discovered.unshift({ ...ownIssuer(), url: OTHER_ISSUER })
    return logIn()
  },
  'several portals': async () => {
    await keepLogin()
    await keepLogin({ portal: 'https://other.example.com' })
    return laptop.run(['client', 'whoami'])
  },
  'issuer unreachable': () => {
    discovered.splice(0, 1, { ...ownIssuer(), url: NOWHERE })
    return logIn()
  },
  'issuer broken': () => {
    answer('/.well-known/openid-configuration', 503, {})
    return logIn()
  },
  'issuer untrusted': () => issuerThere(stranger.issueServer(), issuer.certificateAuthority),
  'issuer misnamed': () => issuerThere(stranger.issueServer(misnamed)),
  'issuer expired': () => issuerThere(stranger.issueServer({ expired: true })),
  'another issuer': () => {
    issuer.discovery['issuer'] = 'https://evil.example.com'
    return logIn()
  },
  'wrong redirect': () => logIn('--timeout', '1s'),
  'client refused': () => comeBack({ error: 'unauthorized_client', error_description: 'no code flow for you' }),
  'scope refused': () => comeBack({ error: 'invalid_scope' }),
  'consent denied': () => comeBack({ error: 'access_denied' }),
  'secret wanted': () => {
    answer('/token', 401, { error: 'invalid_client', error_description: 'no secret' })
    return comeBack({ code: 'c' })
  },
  'secret refused': () => {
    answer('/token', 401, { error: 'invalid_client', error_description: 'no such secret' })
    return comeThroughPortal()
  },
  'too long at the issuer': () => comeThroughPortal(LOGIN_LIFETIME_MS),
  'code refused': () => {
    answer('/token', 400, { error: 'invalid_grant', error_description: 'code was used' })
    return comeBack({ code: 'c' })
  },
  'no ID token': () => {
    answer('/token', 200, { access_token: 'a', token_type: 'Bearer' })
    return comeBack({ code: 'c' })
  },
  'clock ahead': () => {
    const now = Math.floor(Date.now() / 1000)
    answerTokens({ iat: now - 900, exp: now - 600 })
    return comeBack({ code: 'c' })
  },
  'wrong audience': () => {
    portal = choosy
    answerTokens()
    return comeBack({ code: 'c' })
  },
  'clock of the connector': () => {
    const now = Math.floor(Date.now() / 1000)
    answerTokens({ iat: now + 900, exp: now + 1200 })
    return comeBack({ code: 'c' })
  },
  'connector without keys': () => {
    portal = blind
    answerTokens()
    return comeBack({ code: 'c' })
  },
  'groups left out': () => {
    answerTokens(OVERAGE)
    return comeBack({ code: 'c' })
  },
  'groups source down': () => {
    portal = asking
    answerTokens(OVERAGE)
    answer('/userinfo', 500, {})
    return comeBack({ code: 'c' })
  },
  'groups source refuses': () => {
    portal = asking
    // Somebody else: a refusal is kept for a while.
    answerTokens({ ...OVERAGE, sub: 'person-ben' })
    answer('/userinfo', 401, {})
    return comeBack({ code: 'c' })
  },
  'unknown to the directory': () => {
    portal = searching
    answerTokens(OVERAGE)
    answer('/graph/users/person-ana/getMemberObjects', 404, {})
    return comeBack({ code: 'c' })
  },
  'groups too many': () => {
    answerTokens({ groups: Array.from({ length: 1001 }, (_, index) => `g${index}`) })
    return comeBack({ code: 'c' })
  },
  'token too long': () => {
    answerTokens({ groups: Array.from({ length: 900 }, (_, index) => `${index}`.padStart(60, 'g')) })
    return comeBack({ code: 'c' })
  },
  'login revoked': async () => {
    const claims = { auth_time: Math.floor(Date.now() / 1000) - 60 }
    const gateway = connectPortal(portal.url, portal.certificateAuthority)
    await gateway.revokeLogin(await issuer.sign(claims), 'current', '')
    answerTokens(claims)
    prompts.splice(0)
    const result = await comeBack({ code: 'c' }, 2)
    // Once more, and never again.
    expect(prompts).toEqual(['prompt= max_age=', 'prompt=login max_age=0'])
    return result
  },
  'port blocked': async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    discovered.splice(0, 1, ownIssuer({ redirectPorts: [(server.address() as AddressInfo).port] }))
    return logIn().finally(() => server.close())
  },
  'no device flow': () => logIn('--device'),
  'device code expired': () => {
    discovered.splice(0, 1, ownIssuer({ deviceAuthorization: true }))
    answer('/device', 200, { ...DEVICE, expires_in: 600, interval: 0.01 })
    answer('/token', 400, { error: 'expired_token' })
    return logIn('--device')
  },
  'device denied': () => {
    discovered.splice(0, 1, ownIssuer({ deviceAuthorization: true }))
    answer('/device', 200, { ...DEVICE, expires_in: 600, interval: 0.01 })
    answer('/token', 400, { error: 'access_denied' })
    return logIn('--device')
  },
  'not signed in': () => token(),
  'login ended': async () => {
    await keepLogin()
    answer('/token', 400, { error: 'invalid_grant', error_description: 'revoked' })
    return token()
  },
  'no ID token at renewal': async () => {
    await keepLogin()
    answer('/token', 200, { access_token: 'a', token_type: 'Bearer' })
    return token()
  },
  'renewal for somebody else': async () => {
    await keepLogin()
    answerTokens({ sub: 'person-ben' })
    return token()
  },
  'issuer unreachable at renewal': async () => {
    await keepLogin({ issuer: NOWHERE })
    return token()
  },
  'nobody signed in': async () => {
    const path = await keepLogin({ refreshToken: '' })
    const attempt = { startedAtMs: Date.now(), failedAtMs: Date.now(), failure: 'nobody signed in within 180 s' }
    writeFileSync(`${path}.attempt`, JSON.stringify(attempt), { mode: 0o600 })
    return token(interactive)
  },
  'cache open to others': async () => {
    chmodSync(await keepLogin(), 0o640)
    return token()
  },
  'cache of another account': async () => {
    chownSync(await keepLogin(), NOBODY, NOBODY)
    return token()
  },
  'cache odd': async () => {
    const path = await keepLogin()
    rmSync(path)
    mkdirSync(path)
    return token()
  },
  'cache unreadable': () => {
    const directory = portalDirectory(laptop.cacheDirectory, portal.url)
    mkdirSync(dirname(directory), { recursive: true })
    // As good as a mode that keeps its owner out, and root too.
    symlinkSync(directory, directory)
    return token()
  },
  'cache unwritable': () => {
    mkdirSync(dirname(portalDirectory(laptop.cacheDirectory, portal.url)), { recursive: true })
    writeFileSync(portalDirectory(laptop.cacheDirectory, portal.url), 'in the way')
    return logIn()
  },
  'renewed login not kept': async () => {
    const path = await keepLogin()
    answerTokens()
    const give = issuer.staged.get('/token')
    issuer.staged.set('/token', (request, response) => {
      rmSync(path)
      mkdirSync(path)
      give?.(request, response)
    })
    return token()
  },
  'lock of another account': async () => {
    const lock = lockOf(await keepLogin())
    writeFileSync(lock, '')
    chownSync(lock, NOBODY, NOBODY)
    return token()
  },
  'lock unusable': async () => {
    // More than SQLite takes for the name of a file.
    const deep = join(laptop.cacheDirectory, ...Array<string>(10).fill('x'.repeat(60)))
    const path = await keepLogin()
    const there = join(portalDirectory(deep, portal.url), basename(path))
    mkdirSync(dirname(there), { recursive: true })
    renameSync(path, there)
    const result = await laptop.run(['client', 'token', '--portal', portal.url, '--cache-directory', deep])
    return { ...result, stderr: result.stderr.replace(deep, laptop.cacheDirectory) }
  },
  'cache busy': async () => {
    const holder = new DatabaseSync(lockOf(await keepLogin()))
    onTestFinished(() => {
      holder.close()
    })
    holder.exec('BEGIN EXCLUSIVE')
    return token({ NODE_OPTIONS: IN_NO_TIME })
  },
  'another version': async () => {
    await keepLogin({ refreshAtMs: Date.now() + 60_000, expiresAtMs: Date.now() + 60_000 })
    return token({ KUBERNETES_EXEC_INFO: '{"apiVersion":"client.authentication.k8s.io/v1alpha1"}' })
  },
}

/** The names of the table in place of those of this run. */
function asInTable(text: string, name: LoginTroubleName): string {
  const directory = portalDirectory(laptop.cacheDirectory, portal.url)
  const isPortal = name.startsWith('portal ') || name === 'no portal'
  const there = isPortal ? 'postern.example.com' : 'sso.example.com'
  return text
    .replaceAll(/logins\/[^/\s]+\/[0-9a-f]{32}\.json/g, 'logins/LOGIN')
    .replaceAll(directory, join(dirname(directory), 'PORTAL'))
    .replaceAll(laptop.home, '~')
    .replaceAll(portal.url, 'https://postern.example.com')
    .replaceAll(new URL(portal.url).host, 'postern.example.com')
    .replaceAll(issuer.url, `https://${there}`)
    .replaceAll(NOWHERE, `https://${there}`)
    .replaceAll(new URL(elsewhere).host, there)
    .replaceAll(/the ports \d+/g, 'the ports PORT')
    .replaceAll(/\(E[A-Z]+\)/g, '(CODE)')
}

/** Only root can give files away. */
const ROOTS_ALONE: readonly string[] = ['cache of another account', 'lock of another account']
const names = (Object.keys(BROUGHT_ABOUT) as LoginTroubleName[]).filter(
  (name) => process.geteuid?.() === 0 || !ROOTS_ALONE.includes(name),
)

test.for(names)('%s', async (name) => {
  const { line: expected, exitCode: code = 1 }: LoginTrouble = LOGIN_TROUBLES[name]
  const { exitCode, stdout, stderr } = await BROUGHT_ABOUT[name]()
  const lines = stderr.trimEnd().split('\n')
  const said = lines.filter((line) => line.startsWith('postern: '))
  expect(said.map((line) => asInTable(line.slice('postern: '.length), name))).toEqual([expected])
  expect(lines.indexOf(said[0] ?? '')).toBe(lines.length - 1)
  expect([exitCode, stdout === '']).toEqual([code, code !== 0])
})

test.skipIf(process.platform !== 'linux')('on a terminal, which of several issuers is a question', async () => {
  discovered.unshift({ ...ownIssuer(), url: OTHER_ISSUER })
  const args = loginArguments('--timeout', '1s')
  const { exitCode, shown } = await runAtTerminal(laptop, args, [[/Sign in at which issuer\? .*: $/, '2']])
  expect(exitCode).toBe(1)
  expect(shown).toContain(`  1  ${OTHER_ISSUER}\n  2  ${issuer.url}\n`)
  expect(shown).toContain(`Sign in at: ${issuer.url}/authorize?`)
})
