import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { signIn } from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { changeLogin, giveBrowser, keptLogin } from '../support/kept-login.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'

/** The credential plugin as kubectl runs it: many at once, with and without somebody at a terminal. */

const MANY = 40
/** So many processes at once take their time to start. */
const PATIENCE_MS = 120_000

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
beforeEach(async () => {
  laptop = createLaptop()
  writeFileSync(join(laptop.home, 'ca.crt'), portal.certificateAuthority)
  const command = laptop.start([
    ...['client', 'login', '--portal', portal.url, '--no-browser'],
    ...['--certificate-authority', join(laptop.home, 'ca.crt')],
  ])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  await signIn(provider, people.ana, address)
  expect(await command.result).toMatchObject({ exitCode: 0 })
})
afterEach(() => {
  laptop.dispose()
  expect(provider.errors).toEqual([])
})

const execInfo = (interactive: boolean): string =>
  JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', spec: { interactive } })
const atTerminal = { KUBERNETES_EXEC_INFO: execInfo(true) }
const withoutTerminal = { KUBERNETES_EXEC_INFO: execInfo(false) }
const ARGUMENTS = (): string[] => ['client', 'token', '--portal', portal.url]

const token = (env: NodeJS.ProcessEnv): Promise<CommandResult> => laptop.run(ARGUMENTS(), env)
const tokens = (count: number, env: NodeJS.ProcessEnv): Promise<CommandResult[]> =>
  Promise.all(Array.from({ length: count }, () => token(env)))
const tokenIn = ({ stdout }: CommandResult): string =>
  (JSON.parse(stdout) as { status: { token: string } }).status.token

/** The ID token has ended, and where `revoked` the refresh token too. */
function expire(revoked: boolean): void {
  changeLogin(laptop, portal.url, {
    refreshAtMs: 0,
    expiresAtMs: 0,
    ...(revoked && { refreshToken: 'revoked' }),
  })
}

test(
  `${MANY} calls at once with an ID token that has ended cause one refresh, and all succeed`,
  async () => {
    expire(false)
    const before = { ...provider.counts }
    const browser = giveBrowser(laptop)
    const results = await tokens(MANY, { ...atTerminal, ...browser.env })
    expect(results.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(results.map(() => [0, '']))
    expect(new Set(results.map(tokenIn)).size).toBe(1)
    expect(provider.counts).toMatchObject({ refreshes: before.refreshes + 1, refusals: before.refusals })
    expect(browser.opened()).toEqual([])
  },
  PATIENCE_MS,
)

test(
  `${MANY} calls at once with a refresh token that was revoked, and nobody there, are ${MANY} clear failures without a browser`,
  async () => {
    expire(true)
    const before = { ...provider.counts }
    const browser = giveBrowser(laptop)
    const results = await tokens(MANY, { ...withoutTerminal, ...browser.env })
    for (const { exitCode, stdout, stderr } of results) {
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^postern: your login at \S+ has ended.*; run: postern client login --portal \S+\n$/)
      expect(stderr).toContain(portal.url)
    }
    expect(provider.counts).toMatchObject({
      signIns: before.signIns,
      refreshes: before.refreshes,
      refusals: before.refusals + 1,
    })
    expect(browser.opened()).toEqual([])
  },
  PATIENCE_MS,
)

describe.skipIf(process.platform !== 'linux')('when a login has ended and somebody is there', () => {
  test(
    'of many calls one opens a browser and says so in one line, and all succeed when they signed in',
    async () => {
      expire(true)
      const browser = giveBrowser(laptop)
      const calls = Array.from({ length: 10 }, () => laptop.start(ARGUMENTS(), { ...atTerminal, ...browser.env }))
      const [address = ''] = await vi.waitUntil(() => browser.opened().length > 0 && browser.opened(), PATIENCE_MS)
      await signIn(provider, people.ana, address)
      const results = await Promise.all(calls.map(({ result }) => result))
      expect(results.map(({ exitCode }) => exitCode)).toEqual(results.map(() => 0))
      expect(new Set(results.map(tokenIn)).size).toBe(1)
      expect(browser.opened()).toHaveLength(1)
      expect(results.map(({ stderr }) => stderr).filter((said) => said !== '')).toEqual([
        `postern: your login at ${portal.url} has ended; sign in at: ${address}\n`,
      ])
      expect(await token(withoutTerminal)).toMatchObject({ exitCode: 0, stderr: '' })
    },
    PATIENCE_MS,
  )

  test(
    'and they say no, all calls that waited fail with it, and for half a minute no browser is opened again',
    async () => {
      expire(true)
      const browser = giveBrowser(laptop)
      const calls = Array.from({ length: 5 }, () => laptop.start(ARGUMENTS(), { ...atTerminal, ...browser.env }))
      const [address = ''] = await vi.waitUntil(() => browser.opened().length > 0 && browser.opened(), PATIENCE_MS)
      const asked = new URL(address).searchParams
      const back = new URL(asked.get('redirect_uri') ?? '')
      back.search = new URLSearchParams({
        error: 'access_denied',
        state: asked.get('state') ?? '',
        iss: provider.issuer,
      }).toString()
      await fetch(back)
      const results = [
        ...(await Promise.all(calls.map(({ result }) => result))),
        await token({ ...atTerminal, ...browser.env }),
      ]
      for (const { exitCode, stdout, stderr } of results) {
        expect([exitCode, stdout]).toEqual([1, ''])
        expect(stderr).toContain('access_denied')
      }
      expect(browser.opened()).toHaveLength(1)
    },
    PATIENCE_MS,
  )

  test('a call that is broken off counts as one that failed', async () => {
    expire(true)
    const browser = giveBrowser(laptop)
    const call = laptop.start(ARGUMENTS(), { ...atTerminal, ...browser.env })
    await vi.waitUntil(() => browser.opened().length > 0, PATIENCE_MS)
    call.process.kill('SIGKILL')
    await call.result
    const { exitCode, stderr } = await token({ ...atTerminal, ...browser.env })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/no new one came of it \(it was broken off\); run: postern client login/)
    expect(browser.opened()).toHaveLength(1)
  })

  test('without a screen no browser is opened', async () => {
    expire(true)
    const browser = giveBrowser(laptop)
    const { exitCode, stderr } = await token(atTerminal)
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^postern: your login at .* has ended.*\n$/)])
    expect(browser.opened()).toEqual([])
  })

  test('a login elsewhere in the meantime is enough', async () => {
    const { path, login } = keptLogin(laptop, portal.url)
    expire(true)
    const browser = giveBrowser(laptop)
    const first = laptop.start(ARGUMENTS(), { ...atTerminal, ...browser.env })
    await vi.waitUntil(() => browser.opened().length > 0, PATIENCE_MS)
    const second = laptop.start(ARGUMENTS(), { ...atTerminal, ...browser.env })
    changeLogin(laptop, portal.url, { ...login })
    expect(await second.result).toMatchObject({ exitCode: 0, stderr: '' })
    expect(path).toBe(keptLogin(laptop, portal.url).path)
    first.process.kill()
    await first.result
  })
})

test('somebody who signed out is not asked to sign in again', async () => {
  const browser = giveBrowser(laptop)
  expect(await laptop.run(['client', 'logout'])).toMatchObject({ exitCode: 0 })
  const { exitCode, stderr } = await token({ ...atTerminal, ...browser.env })
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('you are not signed in')])
  expect(browser.opened()).toEqual([])
})
