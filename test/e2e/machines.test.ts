import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { stringify } from 'yaml'
import { type CertificateAndKey, createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type Connector, startConnector } from '../../sandbox/connector.ts'
import { type KubectlResult, kubectlOutput, runKubectl } from '../../sandbox/kubectl.ts'

const { controlPlane, directory: shared, issuer } = inject('surroundings')
const directory = join(shared, 'machines')
const authority = createCertificateAuthority('robots')
const admin = { kubectl: controlPlane.kubectl, kubeconfig: controlPlane.adminKubeconfig }

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: machines }
spec:
  subjects:
    users: ["production:system:serviceaccount:default:robot"]
    groups: ["x509:robots"]
  rules: [{ verbs: [get, list], resources: [pods] }]
`

let connector: Connector

beforeAll(async () => {
  await mkdir(directory)
  await writeFile(join(directory, 'policy.yaml'), POLICY)
  connector = await startConnector(directory, {
    sockets: [{ name: 'production', upstream: { kubeconfig: { path: controlPlane.adminKubeconfig } } }],
    policies: ['policy.yaml'],
    issuer,
    machines: {
      serviceAccounts: [{ socket: 'production', audiences: ['postern'], prefix: 'production:' }],
      clientCertificates: { certificateAuthority: authority.certificate, prefix: 'x509:' },
    },
  })
  await connector.ready()
  await kubectlOutput(admin, ['create', 'serviceaccount', 'robot', '--namespace=default'])
}, 60_000)
afterAll(() => connector.stop())

/** kubectl with one credential, through the connector. */
async function kubectl(user: Record<string, string>, ...argv: string[]): Promise<KubectlResult> {
  const path = join(directory, `${crypto.randomUUID()}.yaml`)
  const cluster = {
    server: `${connector.kubernetesURL}/sockets/production`,
    'certificate-authority': connector.certificateAuthority.path,
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  await writeFile(path, stringify(config), { mode: 0o600 })
  return runKubectl({ kubectl: controlPlane.kubectl, kubeconfig: path, env: { HOME: directory } }, argv)
}

const tokenFor = async (audience: string): Promise<string> => {
  const argv = ['create', 'token', 'robot', '--namespace=default', `--audience=${audience}`]
  return (await kubectlOutput(admin, argv)).trim()
}
const withCertificate = ({ cert, key }: CertificateAndKey): Record<string, string> => ({
  'client-certificate-data': Buffer.from(cert).toString('base64'),
  'client-key-data': Buffer.from(key).toString('base64'),
})

test('a service account comes in with a token for us, and is called after its cluster', async () => {
  const token = await tokenFor('postern')
  expect(await kubectl({ token }, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).toMatchObject({
    code: 0,
    stdout: 'production:system:serviceaccount:default:robot',
  })
  expect(await kubectl({ token }, 'get', 'pods')).toMatchObject({ code: 0 })
  expect(await kubectl({ token }, 'get', 'secrets')).toMatchObject({ code: 1 })
})

test('one with a token for the API server does not', async () => {
  const token = (await kubectlOutput(admin, ['create', 'token', 'robot', '--namespace=default'])).trim()
  const result = await kubectl({ token }, 'get', 'pods')
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('the token comes from an issuer that is not known here')
})

test('one that was deleted does not, though its token has not expired', async () => {
  await kubectlOutput(admin, ['create', 'serviceaccount', 'robot-of-the-past', '--namespace=default'])
  const argv = ['create', 'token', 'robot-of-the-past', '--namespace=default', '--audience=postern']
  const token = (await kubectlOutput(admin, argv)).trim()
  await kubectlOutput(admin, ['delete', 'serviceaccount', 'robot-of-the-past', '--namespace=default'])
  const result = await kubectl({ token }, 'get', 'pods')
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('the cluster does not vouch for the token')
})

test('a client certificate comes in, over HTTP/2, under a prefix of its own', async () => {
  const user = withCertificate(authority.issueClient({ commonName: 'deployer', organizations: ['robots'] }))
  expect(await kubectl(user, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).toMatchObject({
    code: 0,
    stdout: 'x509:deployer',
  })
  expect(await kubectl(user, 'get', 'pods')).toMatchObject({ code: 0 })
})

test('one of another authority does not, and kubectl says why', async () => {
  const stranger = createCertificateAuthority('robots').issueClient({
    commonName: 'deployer',
    organizations: ['robots'],
  })
  const result = await kubectl(withCertificate(stranger), 'get', 'pods')
  expect(result.code).toBe(1)
  expect(result.stderr).toContain('the client certificate is not one that is trusted here')
})
