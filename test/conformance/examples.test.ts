import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { expect, it } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { checkConnector } from '../../src/config/check-connector.ts'

it('examples/laptop loads, with the files that its README asks for', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-example-'))
  try {
    await cp(fileURLToPath(new URL('../../examples/laptop', import.meta.url)), directory, { recursive: true })
    const authority = createCertificateAuthority()
    const { cert, key } = authority.issueServer({ hosts: ['laptop.example.com'] })
    const cluster = {
      server: 'https://127.0.0.1:6443',
      'certificate-authority-data': Buffer.from(authority.certificate).toString('base64'),
    }
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'kind', cluster }],
      users: [{ name: 'kind', user: { token: 'of-the-connector' } }],
      contexts: [{ name: 'kind-kind', context: { cluster: 'kind', user: 'kind' } }],
    }
    await Promise.all([
      writeFile(join(directory, 'tls.crt'), cert),
      writeFile(join(directory, 'tls.key'), key, { mode: 0o600 }),
      writeFile(join(directory, 'kubeconfig'), stringify(kubeconfig)),
    ])
    expect(await checkConnector(join(directory, 'connector.yaml'))).toEqual([])
  } finally {
    await rm(directory, { recursive: true })
  }
})

it('examples/eks loads, with the certificate that its README asks for', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-example-'))
  try {
    await cp(fileURLToPath(new URL('../../examples/eks', import.meta.url)), directory, { recursive: true })
    const hosts = ['kube.example.com', 'postern.example.com']
    const { cert, key } = createCertificateAuthority().issueServer({ hosts })
    await Promise.all([
      writeFile(join(directory, 'tls.crt'), cert),
      writeFile(join(directory, 'tls.key'), key, { mode: 0o600 }),
    ])
    expect(await checkConnector(join(directory, 'connector.yaml'))).toEqual([])
  } finally {
    await rm(directory, { recursive: true })
  }
})
