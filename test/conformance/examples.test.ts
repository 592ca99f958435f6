import { cp, mkdir, mkdtemp, mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments, parseDocument, stringify } from 'yaml'
import { expect, it } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { checkConnector, inspectConnector } from '../../src/config/check-connector.ts'
import { loadPolicyFiles } from '../../src/config/policy-files.ts'
import { ownSurroundings } from '../../src/config/surroundings.ts'
import { runPolicyTests } from '../../src/policy/policy-tests.ts'

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

it.each(['okta', 'entra-id', 'google', 'keycloak', 'dex', 'github-actions'])(
  'examples/%s loads, with a certificate, and its policies do what their tests say',
  async (name) => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'postern-example-'))
    await cp(fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)), directory.path, { recursive: true })
    await writeCertificate(directory.path, ['kube.example.com', 'postern.example.com'])
    expect(await checkConnector(join(directory.path, 'connector.yaml'))).toEqual([])
    const policies = await loadPolicyFiles([{ directory: join(directory.path, 'policies'), glob: '*.yaml' }])
    expect(runPolicyTests(policies).results.filter((result) => !result.passed)).toEqual([])
  },
)

it.each(['okta', 'entra-id', 'google', 'keycloak'])(
  'the client with a secret that examples/%s/README.md tells of loads',
  async (name) => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'postern-example-'))
    await cp(fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)), directory.path, { recursive: true })
    await writeCertificate(directory.path, ['kube.example.com', 'postern.example.com'])
    await writeFile(join(directory.path, 'client-secret'), 'a-secret-of-the-issuer')
    const readme = await readFile(join(directory.path, 'README.md'), 'utf8')
    const told = parse(/```yaml\n([^]*?)```/.exec(readme)?.[1] ?? '') as unknown
    const path = join(directory.path, 'connector.yaml')
    const document = parseDocument(await readFile(path, 'utf8'))
    if (Array.isArray(told)) document.setIn(['identity', 'issuers'], told)
    else document.setIn(['identity', 'issuers', 0, 'client'], (told as { client: unknown }).client)
    await writeFile(path, document.toString())
    const { mistakes, redirectURIs } = await inspectConnector(path)
    expect(mistakes).toEqual([])
    const [redirectURI = ''] = redirectURIs.map((one) => one.redirectURI)
    expect(readme.replaceAll('TENANT', '11111111-2222-3333-4444-555555555555')).toContain(redirectURI)
  },
)

it('deploy/connector.yaml has a document and a policy that load', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'postern-example-'))
  const text = await readFile(new URL('../../deploy/connector.yaml', import.meta.url), 'utf8')
  const maps = parseAllDocuments(text)
    .map((document) => document.toJS() as { readonly kind: string; readonly data: Readonly<Record<string, string>> })
    .filter(({ kind }) => kind === 'ConfigMap')
  for (const { data } of maps) {
    for (const [name, content] of Object.entries(data)) {
      await writeFile(
        join(directory.path, name === 'connector.yaml' ? name : `policy-${name}`),
        content.replace('/etc/postern/policies/*.yaml', 'policy-*.yaml'),
      )
    }
  }
  expect(maps).toHaveLength(2)
  expect(await checkConnector(join(directory.path, 'connector.yaml'))).toEqual([])
})

it('the quick start of docs/install.md has a document and a policy that load', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'postern-example-'))
  const page = await readFile(new URL('../../docs/install.md', import.meta.url), 'utf8')
  const [quickStart = ''] = /^## In ten minutes[^]*?(?=^## )/m.exec(page) ?? []
  const [connector = '', policy = ''] = [...quickStart.matchAll(/^ *```yaml\n([^]*?)^ *```/gm)].map(
    ([, text]) => text ?? '',
  )
  const user = { name: 'kind', user: { token: 'of-the-connector' } }
  const kubeconfig = {
    clusters: [{ name: 'kind', cluster: { server: 'https://127.0.0.1:6443' } }],
    users: [user],
    contexts: [{ name: 'kind-kind', context: { cluster: 'kind', user: 'kind' } }],
  }
  await Promise.all([
    writeFile(join(directory.path, 'connector.yaml'), connector),
    writeFile(join(directory.path, 'policy.yaml'), policy),
    mkdir(join(directory.path, '.kube')),
  ])
  await writeFile(join(directory.path, '.kube', 'config'), stringify(kubeconfig))
  const surroundings = { ...ownSurroundings(), home: directory.path }
  expect(await checkConnector(join(directory.path, 'connector.yaml'), surroundings)).toEqual([])
})

async function writeCertificate(directory: string, hosts: readonly string[]): Promise<void> {
  const { cert, key } = createCertificateAuthority().issueServer({ hosts: [...hosts] })
  await writeFile(join(directory, 'tls.crt'), cert)
  await writeFile(join(directory, 'tls.key'), key, { mode: 0o600 })
}
