import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type Connector, startConnector } from '../../sandbox/connector.ts'
import { type IdentityProvider, startIdentityProvider } from '../../sandbox/identity-provider.ts'
import { exchange } from '../../sandbox/identity-provider/browser.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { type KubectlResult, runKubectl } from '../../sandbox/kubectl.ts'
import { logIn } from '../../sandbox/sign-in.ts'
import { changeLogin, giveBrowser, keptLogin } from '../support/kept-login.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'

/** A script that runs many kubectls at once, at the moment when the ID token has ended. */

const many = 40

const { controlPlane, directory: shared } = inject('surroundings')
const directory = join(shared, 'parallel-kubectl')

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: payments }
spec:
  subjects: { groups: [payments-dev] }
  rules: [{ verbs: [get, list], resources: [pods], namespaces: [payments] }]
`

let provider: IdentityProvider
let connector: Connector
let laptop: Laptop
let screen: ReturnType<typeof giveBrowser>

beforeAll(async () => {
  const authority = createCertificateAuthority()
  await mkdir(directory)
  await writeFile(join(directory, 'policy.yaml'), POLICY)
  provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } })
  connector = await startConnector(directory, {
    sockets: [{ name: 'production', upstream: { kubeconfig: { path: controlPlane.adminKubeconfig } } }],
    policies: ['policy.yaml'],
    issuer: {
      url: provider.issuer,
      certificateAuthority: provider.certificateAuthority,
      clientID: provider.clientId,
    },
  })
  await connector.ready()
})
afterAll(async () => {
  await connector.stop()
  await provider.stop()
})
beforeEach(async () => {
  laptop = createLaptop()
  screen = giveBrowser(laptop)
  await logIn(connector, provider, people.ana, laptop.cacheDirectory)
  expect(await laptop.run(['client', 'kubeconfig', 'set', '--all'])).toMatchObject({ exitCode: 0 })
  // A kubectl that never saw this server asks it five times what it has, and the plugin as often.
  expect(await getPods()).toMatchObject({ code: 0, stderr: '' })
})
afterEach(() => {
  laptop.dispose()
  expect(provider.errors).toEqual([])
})

/** As at home: with a screen, on which a browser would be written down, and without a terminal. */
const getPods = (): Promise<KubectlResult> =>
  runKubectl(
    {
      kubectl: controlPlane.kubectl,
      kubeconfig: laptop.kubeconfig,
      env: {
        ...screen.env,
        HOME: laptop.home,
        PATH: `${join(laptop.home, 'bin')}:${process.env['PATH'] ?? ''}`,
        BROWSER: join(laptop.home, 'bin', 'xdg-open'),
        XDG_CACHE_HOME: join(laptop.home, 'cache'),
        NODE_COMPILE_CACHE: join(shared, 'compile-cache'),
      },
    },
    ['get', 'pods', '--namespace=payments', '--output=name'],
  )
const allAtOnce = (): Promise<KubectlResult[]> => Promise.all(Array.from({ length: many }, getPods))

/** The clock goes on until the kept ID token has ended for everybody: this laptop, and the gateway, which would refuse it. */
function endToken(): void {
  const { idToken } = keptLogin(laptop, connector.portalURL).login
  const [header = '', payload = '', signature = ''] = idToken.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iat: number; exp: number }
  const past = { ...claims, iat: claims.iat - 86_400, exp: claims.exp - 86_400 }
  changeLogin(laptop, connector.portalURL, {
    idToken: [header, Buffer.from(JSON.stringify(past)).toString('base64url'), signature].join('.'),
    refreshAtMs: past.exp * 1000,
    expiresAtMs: past.exp * 1000,
  })
}

/** As an operator of the identity provider does, or the person on a page of it. */
async function revokeRefreshToken(): Promise<void> {
  const { refreshToken } = keptLogin(laptop, connector.portalURL).login
  const { status } = await exchange({
    url: new URL('/token/revocation', provider.issuer),
    certificateAuthority: provider.certificateAuthority,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: provider.clientId, token: refreshToken }).toString(),
  })
  expect(status).toBe(200)
}

test(`${many} kubectls at once with an ID token that has ended cause one refresh, and all succeed`, async () => {
  endToken()
  const before = { ...provider.counts }
  const results = await allAtOnce()
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
  for (const { stdout } of results) expect(stdout).toMatch(/^pod\/ledger-\S+\n$/)
  expect(provider.counts).toMatchObject({
    refreshes: before.refreshes + 1,
    refusals: before.refusals,
    signIns: before.signIns,
  })
  expect(screen.opened()).toEqual([])
})

test(`${many} kubectls at once with a refresh token that was revoked, and no terminal, are ${many} clear failures without a browser`, async () => {
  endToken()
  await revokeRefreshToken()
  const before = { ...provider.counts }
  const results = await allAtOnce()
  for (const { code, stdout, stderr } of results) {
    expect([code, stdout]).toEqual([1, ''])
    const [ours, theirs, ...more] = stderr.split('\n')
    expect(ours).toMatch(/^postern: your login at \S+ has ended.*; run: postern client login --portal \S+$/)
    expect(theirs).toMatch(/^Unable to connect to the server: getting credentials: .* failed with exit code 1$/)
    expect(more).toEqual([''])
  }
  expect(provider.counts).toMatchObject({ refreshes: before.refreshes, refusals: before.refusals + 1 })
  expect(screen.opened()).toEqual([])
})
