import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { answerDevice } from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { keptLogin } from '../support/kept-login.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attack E20.

const authority = createCertificateAuthority()
let laptop: Laptop

beforeEach(() => {
  laptop = createLaptop()
})
afterEach(() => {
  laptop.dispose()
})

function loginArguments(portal: StartedPortal, ...more: string[]): string[] {
  const path = join(laptop.home, 'ca.crt')
  writeFileSync(path, portal.certificateAuthority)
  return ['client', 'login', '--portal', portal.url, '--certificate-authority', path, '--device', ...more]
}

describe('at a real provider', () => {
  let provider: IdentityProvider
  let portal: StartedPortal

  beforeAll(async () => {
    provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
    const scopes = ['openid', 'email', 'groups', 'offline_access']
    portal = await startPortal({
      issuers: [
        {
          url: provider.issuer,
          certificateAuthority: provider.certificateAuthority,
          audiences: [provider.clientId],
          client: { id: provider.clientId, scopes, deviceAuthorization: true },
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
  afterEach(() => {
    expect(provider.errors).toEqual([])
  })

  // The provider has people asked every 5 s, so each of these takes as long.
  test.concurrent('a person signs in on another device, and the login is as good as any', async ({ expect: check }) => {
    const own = createLaptop()
    const path = join(own.home, 'ca.crt')
    writeFileSync(path, portal.certificateAuthority)
    const command = own.start(['client', 'login', '--portal', portal.url, '--certificate-authority', path, '--device'])
    const [, code = ''] = await command.line(/code: (\S+)$/m)
    const [said, address = ''] = await command.line(/^Sign in at: (.*)\n.*\n.*$/m)
    check(said).toBe(
      `Sign in at: ${provider.issuer}/device?user_code=${code}\n` +
        `Its page shows or asks for the code: ${code}\n` +
        `It is for the client "postern" of ${provider.issuer}; give the code to nobody.`,
    )
    const page = await answerDevice(provider, people.ana, address, 'allow')
    check(page.body).toContain('The device is signed in')
    check(await command.result).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^You are signed in to \S+ as ana@example.com, and stay so\.\n/) as unknown,
    })
    check(keptLogin(own, portal.url).login.refreshToken).not.toBe('')
    check(await own.run(['client', 'token'])).toMatchObject({ exitCode: 0, stderr: '' })
    own.dispose()
  })

  test.concurrent('what the person denies there ends the login here', async ({ expect: check }) => {
    const own = createLaptop()
    const path = join(own.home, 'ca.crt')
    writeFileSync(path, portal.certificateAuthority)
    const command = own.start(['client', 'login', '--portal', portal.url, '--certificate-authority', path, '--device'])
    const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
    await answerDevice(provider, people.ana, address, 'deny')
    const { exitCode, stderr } = await command.result
    check(exitCode).toBe(1)
    check(stderr).toMatch(/^postern: \S+ refused the login: access_denied \(End-User aborted interaction\); sign in/m)
    own.dispose()
  })
})

describe('at a provider that does as it is told', () => {
  let issuer: StagedIssuer
  let portal: StartedPortal

  beforeAll(async () => {
    issuer = await startStagedIssuer()
    Object.assign(issuer.discovery, {
      token_endpoint: `${issuer.url}/token`,
      device_authorization_endpoint: `${issuer.url}/device`,
      id_token_signing_alg_values_supported: ['ES256'],
    })
    portal = await startPortal({
      issuers: [
        issuer.options({ client: { id: 'postern', scopes: ['openid', 'email', 'groups'], deviceAuthorization: true } }),
      ],
    })
  })
  afterAll(async () => {
    await portal.stop()
    await issuer.close()
  })
  afterEach(() => {
    issuer.staged.clear()
  })

  /** Answers the token requests one after the other, the last for good; gives back when each came. */
  async function stage(answers: readonly string[], interval: number, expiresIn = 600): Promise<number[]> {
    const idToken = await issuer.sign()
    const polls: number[] = []
    const json = { 'content-type': 'application/json' }
    issuer.staged.set('/device', (_request, response) => {
      response.writeHead(200, json).end(
        JSON.stringify({
          device_code: 'd',
          user_code: 'WDJB\u001b[2JMJHT',
          verification_uri: 'https://sso.example.com/device',
          expires_in: expiresIn,
          interval,
        }),
      )
    })
    issuer.staged.set('/token', (_request, response) => {
      const answer = answers[Math.min(polls.length, answers.length - 1)]
      polls.push(performance.now())
      if (answer === 'tokens')
        response
          .writeHead(200, json)
          .end(JSON.stringify({ access_token: 'a', token_type: 'Bearer', id_token: idToken }))
      else response.writeHead(400, json).end(JSON.stringify({ error: answer }))
    })
    return polls
  }

  test('the pace is the provider’s, and slows down by 5 s when it says so', async () => {
    const polls = await stage(['authorization_pending', 'slow_down', 'tokens'], 0.2)
    const { exitCode, stderr } = await laptop.run(loginArguments(portal))
    expect(exitCode).toBe(0)
    expect(stderr).toContain('Sign in at: https://sso.example.com/device\n')
    expect(stderr).toContain('the code: WDJB\\x1b[2JMJHT\n')
    const [first = 0, second = 0, third = 0] = polls
    expect(polls).toHaveLength(3)
    expect(second - first).toBeGreaterThanOrEqual(190)
    expect(third - second).toBeGreaterThanOrEqual(5_190)
  })

  test('the device that asks for tokens proves that it is the one that asked for the code', async () => {
    await stage(['tokens'], 0.05)
    const asked: URLSearchParams[] = []
    for (const path of ['/device', '/token']) {
      const answer = issuer.staged.get(path)
      issuer.staged.set(path, (request, response) => {
        void text(request).then((body) => {
          asked.push(new URLSearchParams(body))
          answer?.(request, response)
        })
      })
    }
    expect(await laptop.run(loginArguments(portal))).toMatchObject({ exitCode: 0 })
    const [first, last] = asked
    const verifier = last?.get('code_verifier') ?? ''
    expect(verifier).toMatch(/^[\w-]{43}$/)
    expect(first?.get('code_challenge')).toBe(createHash('sha256').update(verifier).digest('base64url'))
    expect(first?.get('code_challenge_method')).toBe('S256')
  })

  test('a code that ends by its own time ends the wait, and leaves no login', async () => {
    await stage(['authorization_pending'], 0.05, 1)
    const { exitCode, stderr } = await laptop.run(loginArguments(portal))
    expect(exitCode).toBe(1)
    expect(stderr).toContain('postern: nobody signed in with the code in time; sign in again')
    expect(() => keptLogin(laptop, portal.url)).toThrow()
  })
})

test('nobody is offered a code where the connector does not allow it', async () => {
  const issuer = await startStagedIssuer()
  const portal = await startPortal({ issuers: [issuer.options()] })
  Object.assign(issuer.discovery, {
    token_endpoint: `${issuer.url}/token`,
    device_authorization_endpoint: `${issuer.url}/device`,
  })
  const { exitCode, stderr } = await laptop.run(loginArguments(portal))
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('does not let people sign in at')])
  expect(issuer.seen).not.toContain('/device')
  await portal.stop()
  await issuer.close()
})
