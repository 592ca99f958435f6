import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { freePorts } from '../../sandbox/free-ports.ts'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { loginFiles, readLogin } from '../../src/client/login-cache.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attacks E16, E18.

/** What an issuer, or somebody in its place, may answer, and the command must not take. */

const [PORT = 0] = await freePorts(1)

let issuer: StagedIssuer
let portal: StartedPortal
let choosy: StartedPortal
let laptop: Laptop

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
    authorization_response_iss_parameter_supported: true,
    id_token_signing_alg_values_supported: ['ES256'],
  })
  portal = await startPortal({ issuers: [issuer.options()] })
  const { url, certificateAuthority } = issuer
  choosy = await startPortal({
    issuers: [issuer.options({ audiences: ['another-audience'] })],
    discovered: [
      { url, clientID: 'postern', scopes: ['openid'], flows: { redirectPath: '/callback' }, certificateAuthority },
    ],
  })
})
afterAll(async () => {
  await Promise.all([portal.stop(), choosy.stop(), issuer.close()])
})
beforeEach(() => {
  laptop = createLaptop()
})
afterEach(() => {
  issuer.staged.clear()
  laptop.dispose()
})

type Claims = Record<string, unknown>

/** The token endpoint answers every request with a token of these claims, or with this status and body. */
function stageTokens(
  answer: { claims: Claims } | { status: number; type: string; body: string },
  rest: object = {},
): void {
  issuer.staged.set('/token', (_request, response) => {
    if ('body' in answer) {
      response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body)
      return
    }
    void issuer.sign(answer.claims).then((token) => {
      const tokens = { access_token: 'a', token_type: 'Bearer', id_token: token, ...rest }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens))
    })
  })
}

interface Outcome extends CommandResult {
  readonly page: string
}

/** Logs in at a portal; the browser comes back with `callback` over what an honest issuer would send. */
async function logIn(
  at: StartedPortal,
  stage: (asked: URLSearchParams) => void,
  callback: Record<string, string | undefined> = {},
): Promise<Outcome> {
  writeFileSync(join(laptop.home, 'ca.crt'), at.certificateAuthority)
  const authority = ['--certificate-authority', join(laptop.home, 'ca.crt')]
  const command = laptop.start(['client', 'login', '--portal', at.url, ...authority, '--no-browser'])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const asked = new URL(address).searchParams
  stage(asked)
  const back = new URL(asked.get('redirect_uri') ?? '')
  const parameters: Record<string, string | undefined> = {
    code: 'the-code',
    state: asked.get('state') ?? '',
    iss: issuer.url,
    ...callback,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) back.searchParams.set(name, value)
  const page = await (await fetch(back)).text()
  return { ...(await command.result), page }
}

const honest = (asked: URLSearchParams, claims: Claims = {}): void => {
  stageTokens({ claims: { nonce: asked.get('nonce'), ...claims } })
}

test('an honest answer is taken', async () => {
  const { exitCode, stderr, page } = await logIn(portal, honest)
  expect(stderr.split('\n')).toHaveLength(2)
  expect([exitCode, page]).toEqual([0, expect.stringContaining('You are signed in')])
})

test.for([
  [{}, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}$/],
  [{ redirectPath: '/callback' }, /^http:\/\/127\.0\.0\.1:\d+\/callback$/],
  [{ redirectHost: 'localhost', redirectPath: '/' }, /^http:\/\/localhost:\d+\/$/],
  [{ redirectPorts: [PORT] }, new RegExp(`^http://127\\.0\\.0\\.1:${PORT}/[\\w-]{43}$`)],
] as const)('with %o the redirect URI is like %o', async ([flows, expected]) => {
  const { url, certificateAuthority } = issuer
  const exact = await startPortal({
    issuers: [issuer.options()],
    discovered: [{ url, clientID: 'postern', scopes: ['openid'], flows, certificateAuthority }],
  })
  const { stderr } = await logIn(exact, (asked) => {
    expect(asked.get('redirect_uri')).toMatch(expected)
    honest(asked)
  })
  expect(stderr.split('\n')).toHaveLength(2)
  await exact.stop()
})

describe('is refused, told in one line, and leaves no login:', () => {
  const cases: readonly [string, (asked: URLSearchParams) => void, Record<string, string | undefined>, RegExp][] = [
    [
      'a token with another nonce',
      (asked) => {
        honest(asked, { nonce: 'replayed' })
      },
      {},
      /nonce/,
    ],
    [
      'a token without a nonce',
      (asked) => {
        honest(asked, { nonce: undefined })
      },
      {},
      /nonce/,
    ],
    [
      'a token for another audience',
      (asked) => {
        honest(asked, { aud: 'other' })
      },
      {},
      /aud/,
    ],
    [
      'a token of several audiences that is another client’s',
      (asked) => {
        honest(asked, { aud: ['postern', 'other'], azp: 'other' })
      },
      {},
      /azp/,
    ],
    [
      'a token of another issuer',
      (asked) => {
        honest(asked, { iss: 'https://evil.example.com' })
      },
      {},
      /iss/,
    ],
    [
      'a token that has ended',
      (asked) => {
        const now = Math.floor(Date.now() / 1000)
        honest(asked, { iat: now - 900, exp: now - 600 })
      },
      {},
      /the clock of this machine is about 15 min ahead/,
    ],
    [
      'an answer without an ID token',
      (asked) => {
        stageTokens({ claims: { nonce: asked.get('nonce') } }, { id_token: undefined })
      },
      {},
      /id_token|ID token/,
    ],
    ['a callback of another issuer', honest, { iss: 'https://evil.example.com' }, /iss/],
    ['a callback without the issuer that was promised', honest, { iss: undefined }, /iss/],
    [
      'a denied consent',
      honest,
      { code: undefined, error: 'access_denied', error_description: 'not\u001b[2J today' },
      /access_denied \(not\\x1b\[2J today\); sign in again/,
    ],
    [
      'a code that the issuer does not know',
      () => {
        stageTokens({
          status: 400,
          type: 'application/json',
          body: '{"error":"invalid_grant","error_description":"code was used"}',
        })
      },
      {},
      /answered 400: invalid_grant \(code was used\)/,
    ],
    [
      'a page in place of tokens',
      () => {
        stageTokens({ status: 200, type: 'text/html', body: '<p>Welcome' })
      },
      {},
      /did not answer as OpenID Connect asks/,
    ],
    [
      'an issuer that breaks',
      () => {
        stageTokens({ status: 500, type: 'text/plain', body: 'oops' })
      },
      {},
      /answered HTTP 500/,
    ],
    [
      'an answer that is too long',
      () => {
        stageTokens({ status: 200, type: 'application/json', body: `{"a":"${'x'.repeat(1_100_000)}"}` })
      },
      {},
      /longer than 1 MiB/,
    ],
  ]

  test.for(cases)('%s', async ([, stage, callback, message]) => {
    const { exitCode, stdout, stderr, page } = await logIn(portal, stage, callback)
    expect([exitCode, stdout]).toEqual([1, ''])
    const [, error, ...rest] = stderr.split('\n')
    expect(error).toMatch(/^postern: /)
    expect(error).toMatch(message)
    expect(rest).toEqual([''])
    expect(page).toContain('The login failed')
    expect(loginFiles(laptop.cacheDirectory)).toEqual([])
  })

  test('an issuer that repeats what it was asked with, which nobody reads', async () => {
    let verifier = ''
    issuer.staged.set('/token', (request, response) => {
      void text(request).then((body) => {
        verifier = new URLSearchParams(body).get('code_verifier') ?? ''
        response
          .writeHead(400, { 'content-type': 'application/json' })
          .end(JSON.stringify({ error: 'invalid_grant', error_description: `no such code: ${body}` }))
      })
    })
    const { exitCode, stderr, page } = await logIn(portal, () => undefined)
    const [, error = ''] = stderr.split('\n')
    expect([exitCode, error]).toEqual([1, expect.stringContaining('[redacted]')])
    expect(verifier).toMatch(/^[\w-]{43}$/)
    for (const secret of ['the-code', verifier]) expect(`${error}${page}`).not.toContain(secret)
  })

  test('a token that the gateway does not take', async () => {
    const { exitCode, stderr } = await logIn(choosy, (asked) => {
      expect(new URL(asked.get('redirect_uri') ?? '').pathname).toBe('/callback')
      honest(asked)
    })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/postern: https:\S+ does not take your login: .*audience/)
    expect(loginFiles(laptop.cacheDirectory)).toEqual([])
  })

  test('a discovery document of another issuer', async () => {
    const { issuer: own } = issuer.discovery
    issuer.discovery['issuer'] = 'https://evil.example.com'
    try {
      writeFileSync(join(laptop.home, 'ca.crt'), portal.certificateAuthority)
      const authority = ['--certificate-authority', join(laptop.home, 'ca.crt')]
      const { exitCode, stderr } = await laptop.run([
        'client',
        'login',
        '--portal',
        portal.url,
        ...authority,
        '--no-browser',
      ])
      expect([exitCode, stderr]).toEqual([
        1,
        expect.stringMatching(
          /^postern: .* metadata issuer does not match the expected issuer\); ask whoever runs it\n$/,
        ),
      ])
    } finally {
      issuer.discovery['issuer'] = own
    }
  })
})

describe('at a refresh', () => {
  async function expiredLogin(): Promise<string> {
    const login = {
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
    } as const
    const path = loginPath(laptop.cacheDirectory, login)
    saveLogin({ path, login })
    return path
  }
  const token = (): Promise<CommandResult> => laptop.run(['client', 'token', '--portal', portal.url])

  test('the refresh token stays when the issuer does not rotate it', async () => {
    const path = await expiredLogin()
    stageTokens({ claims: {} })
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readLogin(path)?.login).toMatchObject({ refreshToken: 'the-refresh-token', refreshFailure: '' })
  })

  test('the refresh token is replaced when the issuer rotates it', async () => {
    const path = await expiredLogin()
    stageTokens({ claims: {} }, { refresh_token: 'the-next' })
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readLogin(path)?.login.refreshToken).toBe('the-next')
  })

  test.for([
    ['a token of somebody else', { sub: 'mallory' }, {}, 'for somebody else'],
    ['no ID token', {}, { id_token: undefined }, 'gave no ID token'],
  ] as const)('%s ends the login', async ([, claims, rest, message]) => {
    const path = await expiredLogin()
    stageTokens({ claims }, rest)
    const { exitCode, stdout, stderr } = await token()
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toContain(message)
    expect(stderr).toContain(`run: postern client login --portal ${portal.url}`)
    expect(readLogin(path)?.login.refreshToken).toBe('')
  })

  test.for(['invalid_request', 'invalid_grant'])(
    'an issuer that repeats the refresh token in %s does not make it public',
    async (error) => {
      const path = await expiredLogin()
      const body = JSON.stringify({ error, error_description: 'unusable: the-refresh-token' })
      stageTokens({ status: 400, type: 'application/json', body })
      const { stderr } = await token()
      expect(stderr).toContain(`${error} (unusable: [redacted])`)
      expect(readLogin(path)?.login.refreshFailure).not.toContain('the-refresh-token')
      const status = await laptop.run(['client', 'status'])
      expect(`${status.stdout}${status.stderr}`).not.toContain('the-refresh-token')
    },
  )

  test('an issuer that breaks does not end the login', async () => {
    const path = await expiredLogin()
    stageTokens({ status: 503, type: 'application/json', body: '{"error":"temporarily_unavailable"}' })
    expect((await token()).stderr).toMatch(/answered HTTP 503; try again later/)
    expect(readLogin(path)?.login.refreshToken).toBe('the-refresh-token')
    stageTokens({ claims: {} })
    expect(await token()).toMatchObject({ exitCode: 0, stderr: '' })
  })
})
