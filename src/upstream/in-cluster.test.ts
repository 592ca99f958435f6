import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { EndpointError } from './endpoint-error.ts'
import { loadInCluster } from './in-cluster.ts'

const directory = mkdtempSync(join(tmpdir(), 'postern-service-account-'))
writeFileSync(join(directory, 'ca.crt'), createCertificateAuthority().certificate)
writeFileSync(join(directory, 'token'), 'service-account-token')
afterAll(() => {
  rmSync(directory, { recursive: true })
})

test.each([
  [
    { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' },
    { host: '10.96.0.1', port: 443 },
  ],
  [
    { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' },
    { host: 'fd00::1', port: 6443 },
  ],
])('a pod finds its API server in %j', async (environment, expected) => {
  const endpoint = await loadInCluster(environment, directory)
  endpoint.credential.close()
  expect(endpoint).toMatchObject(expected)
  expect(endpoint.credential.authorization()).toBe('Bearer service-account-token')
})

test('outside a cluster it says so', async () => {
  await expect(loadInCluster({}, directory)).rejects.toThrow(/^in-cluster: KUBERNETES_SERVICE_HOST .* not a pod/)
})

test('a pod without service account gets a sentence for each file', async () => {
  const environment = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }
  await expect(loadInCluster(environment, join(directory, 'none'))).rejects.toThrow(
    new EndpointError([
      `in-cluster: cannot read ${join(directory, 'none', 'ca.crt')}: no such file`,
      `in-cluster: cannot read ${join(directory, 'none', 'token')}: no such file`,
    ]),
  )
})
