import { createHash, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exchange, type Page } from '../../sandbox/identity-provider/browser.ts'
import { Secret } from '../../src/document/secret.ts'
import { authorizationServerPath, redirectURIOf } from '../../src/identity/authorization-server.ts'
import { LoginSealsSource, type LoginSeals } from '../../src/portal/oauth/login-seals.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attacks E16, E17, E18, E19, E21.
//
// The portal signs people in at an issuer for programs on their machines. Whoever can make it send a browser, or a code,
// to a place of their own gets a login (CVE-2019-13209, GHSA-7qjx-gp9h-65qj); whoever can finish a login in somebody
// else's browser signs them in as somebody else.

const SECRET = 'the-secret-of-the-client'
const ISSUERS_CODE = 'the-code-of-the-issuer'
const REDIRECT_URI = 'http://127.0.0.1:4000/waits-here'
const STATE = 'the-state-of-the-command'
const NONCE = 'the-nonce-of-the-command'
const VERIFIER = randomBytes(32).toString('base64url')
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

let issuer: StagedIssuer
let portal: StartedPortal
let seals: LoginSeals
/** Forms that the issuer's token endpoint got, and what it answers with in place of good tokens. */
let traded: URLSearchParams[]
let claims: Record<string, unknown>
let refusal: { readonly status: number; readonly body: object } | null

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
    authorization_response_iss_parameter_supported: true,
  })
  const { client } = issuer.options()
  const confidential = { secret: { value: new Secret(SECRET) }, authorizationParameters: {} }
  portal = await startPortal({
    issuers: [
      issuer.options({ client: { ...client, confidential } }),
      // With the same secret, so that nothing but the issuer tells the two apart.
      {
        ...issuer.options({ client: { ...client, confidential }, sharesNamesWith: [issuer.url] }),
        url: 'https://other.example.com',
      },
    ],
  })
  seals = await new LoginSealsSource(JSON.stringify([issuer.url, client.id])).of(SECRET)
})
afterAll(async () => {
  await Promise.all([portal.stop(), issuer.close()])
})
beforeEach(() => {
  traded = []
  claims = {}
  refusal = null
  issuer.staged.set('/token', (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      traded.push(new URLSearchParams(Buffer.concat(chunks).toString()))
      void issuer.sign({ nonce: NONCE, ...claims }).then((idToken) => {
        const tokens = { access_token: 'a', token_type: 'Bearer', id_token: idToken, refresh_token: 'r' }
        response
          .writeHead(refusal?.status ?? 200, { 'content-type': 'application/json' })
          .end(JSON.stringify(refusal?.body ?? tokens))
      })
    })
  })
})
afterEach(() => {
  for (const text of [...portal.seen, ...portal.failures.map(({ stack }) => stack ?? '')])
    expect(text).not.toContain(SECRET)
})

const base = (): string => `${portal.url}${authorizationServerPath(issuer.url)}`
const get = (url: string, cookie = ''): Promise<Page> =>
  exchange({
    url: new URL(url),
    certificateAuthority: portal.certificateAuthority,
    headers: cookie === '' ? {} : { cookie },
    body: undefined,
  })
const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Page> =>
  exchange({
    url: new URL(`${base()}${path}`),
    certificateAuthority: portal.certificateAuthority,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  })

const ASKED = {
  client_id: 'postern',
  response_type: 'code',
  redirect_uri: REDIRECT_URI,
  state: STATE,
  nonce: NONCE,
  scope: 'openid',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
}
const authorize = (changes: Record<string, string | undefined> = {}, cookie = ''): Promise<Page> => {
  const asked = new URLSearchParams(ASKED)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) asked.delete(name)
    else asked.set(name, value)
  }
  return get(`${base()}/authorize?${asked.toString()}`, cookie)
}
const locationOf = (page: Page): URL => new URL(page.headers.location ?? 'about:blank')
const cookieOf = (page: Page): string => page.headers['set-cookie']?.[0]?.split(';')[0] ?? ''

/** A login that a browser took to the issuer. */
async function begin(): Promise<{ readonly state: string; readonly cookie: string }> {
  const page = await authorize()
  return { state: locationOf(page).searchParams.get('state') ?? '', cookie: cookieOf(page) }
}
const callback = (parameters: Record<string, string>, cookie: string, at = base()): Promise<Page> =>
  get(`${at}/callback?${new URLSearchParams(parameters).toString()}`, cookie)
const honest = (state: string): Record<string, string> => ({ code: ISSUERS_CODE, state, iss: issuer.url })

/** A code that a command got. */
async function codeOf(): Promise<string> {
  const { state, cookie } = await begin()
  return locationOf(await callback(honest(state), cookie)).searchParams.get('code') ?? ''
}
const trade = (changes: Record<string, string>): Promise<Page> =>
  post(
    '/token',
    new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'postern',
      redirect_uri: REDIRECT_URI,
      code_verifier: VERIFIER,
      ...changes,
    }).toString(),
  )

/** Nobody is sent anywhere, and nothing that came is shown. */
function expectNothing(page: Page): void {
  expect(page.status).toBe(400)
  expect(page.headers.location).toBeUndefined()
  expect(page.headers['set-cookie']).toBeUndefined()
  expect(page.body).not.toContain('evil')
}
function expectToldToCommand(page: Page, error: string): void {
  expect(page.status).toBe(302)
  const location = locationOf(page)
  expect(`${location.origin}${location.pathname}`).toBe(REDIRECT_URI)
  expect(Object.fromEntries(location.searchParams)).toMatchObject({ error, state: STATE, iss: issuer.url })
  expect(location.searchParams.has('code')).toBe(false)
}
function expectRefused(page: Page, error: string, status = 400): void {
  expect([page.status, JSON.parse(page.body)]).toEqual([status, expect.objectContaining({ error })])
  expect(page.headers['cache-control']).toBe('no-store')
  expect(page.body).not.toContain('id_token')
}

test('an honest login passes, through one browser and one command', async () => {
  const begun = await authorize()
  expect(begun.status).toBe(302)
  const asked = locationOf(begun)
  expect(asked.href.startsWith(`${issuer.url}/authorize?`)).toBe(true)
  expect(asked.searchParams.get('redirect_uri')).toBe(redirectURIOf(portal.url, issuer.url))
  expect(asked.searchParams.get('code_challenge')).not.toBe(CHALLENGE)
  const state = asked.searchParams.get('state') ?? ''
  for (const text of [state, Buffer.from(state, 'base64url').toString('latin1')])
    for (const inside of [STATE, '127.0.0.1', CHALLENGE]) expect(text).not.toContain(inside)

  const back = await callback(honest(state), cookieOf(begun))
  const location = locationOf(back)
  expect(location.searchParams.get('state')).toBe(STATE)
  expect(back.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
  for (const inside of [ISSUERS_CODE, SECRET, 'id_token']) expect(location.href).not.toContain(inside)

  const tokens = await trade({ code: location.searchParams.get('code') ?? '' })
  expect([tokens.status, JSON.parse(tokens.body)]).toEqual([200, expect.objectContaining({ refresh_token: 'r' })])
  expect(traded.map((form) => form.get('code'))).toEqual([ISSUERS_CODE])
  expect(traded[0]?.get('code_verifier')).not.toBe(VERIFIER)
})

describe('a browser is sent nowhere for', () => {
  test.each([
    'https://evil.example/',
    'http://evil.example:4000/',
    'http://127.0.0.1.evil.example:4000/',
    'http://127.0.0.1:4000@evil.example/',
    'http://localhost:4000/',
    'http://0.0.0.0:4000/',
    'http://2130706433:4000/',
    'http://[::ffff:127.0.0.1]:4000/',
    'http://127.0.0.1:4000/#evil',
    'http://127.0.0.1:4000/?evil',
    '//evil.example:4000/',
    'http://127.0.0.1:4000/%0d%0aSet-Cookie:%20evil=1',
    'javascript:evil()',
    '',
  ])('the redirect URI %j', async (redirectURI) => {
    expectNothing(await authorize({ redirect_uri: redirectURI }))
  })

  test('no redirect URI, two of them, or the client of somebody else', async () => {
    expectNothing(await authorize({ redirect_uri: undefined }))
    expectNothing(await authorize({ client_id: 'evil' }))
    const twice = `redirect_uri=${encodeURIComponent('http://127.0.0.1:4001/evil')}`
    expectNothing(await get(`${base()}/authorize?${new URLSearchParams(ASKED).toString()}&${twice}`))
  })
})

describe('the command is told, and the issuer not asked, of', () => {
  test.each([
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    ['PKCE in the clear', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a challenge too short', { code_challenge: 'short' }, 'invalid_request'],
    ['no nonce', { nonce: undefined }, 'invalid_request'],
    ['tokens in the address', { response_type: 'token' }, 'unsupported_response_type'],
    ['a hybrid of both', { response_type: 'code id_token' }, 'unsupported_response_type'],
  ])('%s', async (_, changes, error) => {
    expectToldToCommand(await authorize(changes), error)
  })
})

test('nobody is signed in behind their back', async () => {
  const asked = locationOf(await authorize({ prompt: 'none login evil' })).searchParams
  expect(asked.get('prompt')).toBe('login')
  expect(asked.get('scope')).toBe('openid email groups')
  expect(locationOf(await authorize({ scope: 'openid admin' })).searchParams.get('scope')).toBe('openid email groups')
})

describe('what comes back from the issuer leads nowhere', () => {
  test('in another browser, or in one that began nothing', async () => {
    const { state } = await begin()
    const other = await begin()
    for (const cookie of ['', other.cookie, `${other.cookie}; ${other.cookie}`, '__Host-postern-login=evil'])
      expectNothing(await callback(honest(state), cookie))
  })

  test('a second time', async () => {
    const { state, cookie } = await begin()
    expect((await callback(honest(state), cookie)).status).toBe(302)
    expectNothing(await callback(honest(state), cookie))
    expectNothing(await callback({ ...honest(state), code: 'another' }, cookie))
  })

  test('with a state that was made up, changed, or is for something else', async () => {
    const { state, cookie } = await begin()
    const changed = `${state.slice(0, -2)}${state.endsWith('AA') ? 'BA' : 'AA'}`
    const code = seals.granted.seal({ ...sealedLogin(), code: ISSUERS_CODE })
    for (const forged of ['', 'evil', changed, `${state}A`, code]) expectNothing(await callback(honest(forged), cookie))
  })

  test('at another issuer with the same secret', async () => {
    const { state, cookie } = await begin()
    expectNothing(await callback(honest(state), cookie, `${portal.url}/oauth/other.example.com`))
  })
})

function sealedLogin(expiresAtMs = Date.now() + 60_000) {
  return { redirectURI: REDIRECT_URI, codeChallenge: CHALLENGE, nonce: NONCE, codeVerifier: VERIFIER, expiresAtMs }
}

describe('the command gets an error, and no code, for', () => {
  test('a login that took too long', async () => {
    const { cookie } = await begin()
    const browser = createHash('sha256')
      .update(cookie.split('=')[1] ?? '')
      .digest('base64url')
    const state = seals.pending.seal({ ...sealedLogin(Date.now() - 1), state: STATE, browser })
    const page = await callback(honest(state), cookie)
    expectToldToCommand(page, 'access_denied')
    expect(locationOf(page).searchParams.get('error_description')).toBe('it took longer than 10 minutes')
  })

  test.each([
    ['another issuer', { iss: 'https://evil.example' }],
    ['an issuer that does not name itself though it does', { iss: '' }],
  ])('the answer of %s', async (_, changes) => {
    const { state, cookie } = await begin()
    expectToldToCommand(await callback({ ...honest(state), ...changes }, cookie), 'access_denied')
  })

  test('a refusal of the issuer, of which it gets no more than a terminal may see', async () => {
    const { state, cookie } = await begin()
    const page = await callback(
      { state, iss: issuer.url, error: 'access_denied', error_description: '\u001b[31mno\r\nSet-Cookie: a' },
      cookie,
    )
    expectToldToCommand(page, 'access_denied')
    expect(locationOf(page).searchParams.get('error_description')).toBe('[31mnoSet-Cookie: a')
  })

  test('a code without end', async () => {
    const { state, cookie } = await begin()
    expectToldToCommand(await callback({ ...honest(state), code: 'c'.repeat(4097) }, cookie), 'invalid_request')
  })
})

describe('no tokens are given, and the issuer is not asked, for', () => {
  afterEach(() => {
    expect(traded).toEqual([])
  })

  test('the code with the verifier, or the address, of somebody else', async () => {
    const code = await codeOf()
    expectRefused(await trade({ code, code_verifier: randomBytes(32).toString('base64url') }), 'invalid_grant')
    expectRefused(await trade({ code, code_verifier: CHALLENGE }), 'invalid_grant')
    expectRefused(await trade({ code, redirect_uri: 'http://127.0.0.1:4001/evil' }), 'invalid_grant')
    expectRefused(await trade({ code, code_verifier: '' }), 'invalid_request')
    expectRefused(await trade({ code, client_id: 'evil' }), 'invalid_client', 401)
  })

  test("a code that is the issuer's own, a state, too old, or made up", async () => {
    const { state } = await begin()
    const old = seals.granted.seal({ ...sealedLogin(Date.now() - 1), code: ISSUERS_CODE })
    for (const code of [ISSUERS_CODE, state, old, 'evil']) expectRefused(await trade({ code }), 'invalid_grant')
  })

  test('another grant, another kind of body, a parameter twice, or one without end', async () => {
    expectRefused(await post('/token', 'grant_type=client_credentials&client_id=postern'), 'unsupported_grant_type')
    expectRefused(
      await post('/token', 'grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=d&client_id=postern'),
      'unsupported_grant_type',
    )
    expectRefused(await post('/device_authorization', 'client_id=postern'), 'unauthorized_client')
    expectRefused(await post('/token', '{}', { 'content-type': 'application/json' }), 'invalid_request', 415)
    expectRefused(await post('/token', 'client_id=postern&client_id=evil'), 'invalid_request')
    expectRefused(await post('/token', `refresh_token=${'r'.repeat(17 * 1024)}`), 'invalid_request', 413)
    expect((await get(`${base()}/token`)).status).toBe(405)
    expect((await post('/authorize', '')).status).toBe(405)
  })
})

test('a code is traded once', async () => {
  const code = await codeOf()
  const answers = await Promise.all([trade({ code }), trade({ code }), trade({ code })])
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 400, 400])
  expectRefused(await trade({ code }), 'invalid_grant')
  expect(traded).toHaveLength(1)
})

test.each([
  ['another login', { nonce: 'replayed' }, 'invalid_grant'],
  ['no login at all', { nonce: undefined }, 'invalid_grant'],
  ['another client', { aud: 'somebody-else' }, 'server_error'],
  ['another issuer', { iss: 'https://evil.example' }, 'server_error'],
])('an ID token of %s is not passed on', async (_, changed, error) => {
  const code = await codeOf()
  claims = changed
  expectRefused(await trade({ code }), error)
})

test('an issuer that repeats what it was sent tells nobody', async () => {
  const body = { error: 'invalid_grant', error_description: `no ${SECRET} for "refresh-me"` }
  refusal = { status: 400, body }
  const page = await post('/token', 'grant_type=refresh_token&refresh_token=refresh-me&client_id=postern')
  expectRefused(page, 'invalid_grant')
  expect(page.body).toContain('no [redacted] for [redacted]')
  refusal = { status: 401, body: { error: 'invalid_client', error_description: `not ${SECRET}` } }
  expectRefused(
    await post('/token', 'grant_type=refresh_token&refresh_token=refresh-me&client_id=postern'),
    'server_error',
  )
  expect(portal.failures.at(-1)?.message).toContain('refuses the client "postern"')
})

test('pages of others may read no answer', async () => {
  const page = await post('/token', 'grant_type=refresh_token', { origin: 'https://evil.example' })
  expect(Object.keys(page.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
})
