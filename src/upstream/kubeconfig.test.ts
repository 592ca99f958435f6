import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointError } from './endpoint-error.ts'
import { loadKubeconfig } from './kubeconfig.ts'

const authority = createCertificateAuthority()
const client = authority.issueClient({ commonName: 'postern' })
const other = authority.issueClient({ commonName: 'other' })
const expired = authority.issueClient({ commonName: 'late', expired: true })
const directory = mkdtempSync(join(tmpdir(), 'postern-kubeconfig-'))
const path = join(directory, 'config')

writeFileSync(join(directory, 'ca.crt'), authority.certificate)
writeFileSync(join(directory, 'client.crt'), client.cert)
writeFileSync(join(directory, 'client.key'), client.key)
writeFileSync(join(directory, 'token'), 'from-file\n')
writeFileSync(join(directory, 'blank-token'), '\n')
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

const CLUSTER = { server: 'https://api.example.com:6443', 'certificate-authority-data': base64(authority.certificate) }
const USER = { token: 'abc' }

/** A kubeconfig with one context, `prod`. */
function kubeconfig(cluster: object = CLUSTER, user: object = USER): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'prod',
    contexts: [{ name: 'prod', context: { cluster: 'c', user: 'u', namespace: 'default' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
  }
}

async function load(document: object | string, context?: string): Promise<Endpoint> {
  writeFileSync(path, typeof document === 'string' ? document : stringify(document))
  const endpoint = await loadKubeconfig({ path, context })
  onTestFinished(() => {
    endpoint.credential.close()
  })
  return endpoint
}

async function problems(document: object | string, context?: string): Promise<readonly string[]> {
  const error: unknown = await load(document, context).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(EndpointError)
  const found = error instanceof EndpointError ? error.problems : []
  for (const problem of found) expect(problem).not.toMatch(/[\r\n]/)
  return found.map((problem) => problem.replace(`kubeconfig ${path}: `, ''))
}

describe('a context of a kubeconfig', () => {
  test('gives address, verified name and token', async () => {
    const endpoint = await load(kubeconfig())
    expect(endpoint).toMatchObject({
      ...{ host: 'api.example.com', port: 6443, authority: 'api.example.com:6443', pathPrefix: '' },
      serverName: 'api.example.com',
    })
    expect(endpoint.credential.authorization()).toBe('Bearer abc')
  })

  test.each([
    ['https://[::1]:6443', { host: '::1', port: 6443, authority: '[::1]:6443', serverName: '::1', pathPrefix: '' }],
    ['https://10.0.0.1', { host: '10.0.0.1', port: 443, authority: '10.0.0.1', serverName: '10.0.0.1' }],
    [
      'https://rancher.example/k8s/clusters/c-m-1/',
      { pathPrefix: '/k8s/clusters/c-m-1', authority: 'rancher.example' },
    ],
  ])('takes the server %s', async (server, expected) => {
    expect(await load(kubeconfig({ ...CLUSTER, server }))).toMatchObject(expected)
  })

  test('may be another than the current one', async () => {
    const base = kubeconfig()
    const second = { name: 'second', context: { cluster: 'c2', user: 'u' } }
    const document = {
      ...base,
      contexts: [{ name: 'prod', context: {} }, second],
      clusters: [{ name: 'c2', cluster: { ...CLUSTER, server: 'https://two.example' } }],
    }
    expect(await load(document, 'second')).toMatchObject({ host: 'two.example' })
  })

  test('may verify another name than the host', async () => {
    expect(await load(kubeconfig({ ...CLUSTER, 'tls-server-name': 'kubernetes' }))).toMatchObject({
      ...{ host: 'api.example.com', serverName: 'kubernetes' },
    })
  })

  test('finds files beside the kubeconfig', async () => {
    const cluster = { server: CLUSTER.server, 'certificate-authority': 'ca.crt' }
    const user = { tokenFile: './token', 'client-certificate': 'client.crt', 'client-key': 'client.key' }
    const endpoint = await load(kubeconfig(cluster, user))
    expect(endpoint.credential.authorization()).toBe('Bearer from-file')
  })

  test('prefers data to files, and a token file to a token', async () => {
    const cluster = { ...CLUSTER, 'certificate-authority': 'missing' }
    const user = {
      ...{ token: 'abc', tokenFile: 'token', 'client-certificate': 'missing', 'client-key': 'missing' },
      ...{ 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) },
    }
    const endpoint = await load(kubeconfig(cluster, user))
    expect(endpoint.credential.authorization()).toBe('Bearer from-file')
  })

  test('may sign in with a client certificate alone', async () => {
    const user = { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) }
    const endpoint = await load(kubeconfig(CLUSTER, user))
    expect(endpoint.credential.authorization()).toBeUndefined()
  })

  test('may hold what does not concern us, and be JSON', async () => {
    const cluster = { ...CLUSTER, extensions: [], 'disable-compression': true, 'insecure-skip-tls-verify': false }
    await expect(load(JSON.stringify(kubeconfig(cluster)))).resolves.toBeDefined()
  })
})

describe('several kubeconfigs', () => {
  const write = (name: string, document: object): string => {
    const at = join(directory, name)
    mkdirSync(dirname(at), { recursive: true })
    writeFileSync(at, stringify(document))
    return at
  }
  const open = async (paths: readonly string[], context?: string): Promise<Endpoint> => {
    const endpoint = await loadKubeconfig({ path: paths, context })
    onTestFinished(() => {
      endpoint.credential.close()
    })
    return endpoint
  }

  test('are one: the first that has a name counts, and paths are relative to the file they stand in', async () => {
    const contexts = write('several/contexts', {
      'current-context': '',
      contexts: [{ name: 'prod', context: { cluster: 'c', user: 'u' } }],
    })
    const clusters = write('several/deep/clusters', {
      'current-context': 'prod',
      clusters: [{ name: 'c', cluster: { server: 'https://first', 'certificate-authority': '../ca.crt' } }],
    })
    const users = write('several/users', {
      ...kubeconfig({ ...CLUSTER, server: 'https://second' }),
      'current-context': 'other',
      users: [{ name: 'u', user: { tokenFile: 'token' } }],
    })
    writeFileSync(join(directory, 'several/ca.crt'), authority.certificate)
    writeFileSync(join(directory, 'several/token'), 'of-several')
    const endpoint = await open([contexts, clusters, users])
    expect(endpoint.host).toBe('first')
    expect(endpoint.credential.authorization()).toBe('Bearer of-several')
    expect((await open([users, clusters], 'prod')).host).toBe('second')
  })

  test('may be missing or empty, as long as one is there', async () => {
    const one = write('one', kubeconfig())
    const missing = join(directory, 'missing')
    const empty = join(directory, 'empty')
    writeFileSync(empty, '# nothing\n')
    expect((await open([missing, empty, one])).host).toBe('api.example.com')
    await expect(loadKubeconfig({ path: [missing, `${missing}2`] })).rejects.toThrow(
      new EndpointError([
        `kubeconfig ${missing}, ${missing}2: cannot read ${missing}: no such file`,
        `kubeconfig ${missing}, ${missing}2: cannot read ${missing}2: no such file`,
      ]),
    )
    await expect(loadKubeconfig({ path: [directory, one] })).rejects.toThrow(/: it is a directory$/)
  })
})

describe('a kubeconfig is refused', () => {
  const user = (value: object): object => kubeconfig(CLUSTER, value)
  const cluster = (value: object): object => kubeconfig({ ...CLUSTER, ...value })
  const pair = (certificate: string, key: string): object => ({
    ...{ 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) },
  })
  const noPrograms =
    'which is refused: the connector runs no programs; use a token, a tokenFile or a client certificate'
  const noPasswords =
    'which is refused: Kubernetes has no passwords since 1.19; use a token, a tokenFile or a client certificate'
  const asItself = 'which is refused: the connector acts as itself, or as the subject when the socket says so'

  test.each<[string, object, string]>([
    [
      "AWS's program",
      user({ exec: { command: '/usr/local/bin/aws', args: ['eks', 'get-token'] } }),
      'user "u" has exec, which is refused: the connector runs no programs; use upstream.eks, which makes the same tokens from AWS credentials',
    ],
    [
      "Google's program",
      user({ exec: { command: 'gke-gcloud-auth-plugin.exe' } }),
      'user "u" has exec, which is refused: the connector runs no programs; on GKE use a service account of the cluster: inCluster, or its token in a tokenFile',
    ],
    [
      "Azure's program",
      user({ exec: { command: 'kubelogin' } }),
      'user "u" has exec, which is refused: the connector runs no programs; on AKS, or with an issuer of your own, use a service account of the cluster: inCluster, or its token in a tokenFile',
    ],
    ['a program without a name', user({ exec: {} }), `user "u" has exec, ${noPrograms}`],
    ['a program beside a token', user({ ...USER, exec: { command: 'x' } }), `user "u" has exec, ${noPrograms}`],
    ['a plugin', user({ ...USER, 'auth-provider': { name: 'x' } }), `user "u" has auth-provider, ${noPrograms}`],
    ['a user name', user({ ...USER, username: 'admin' }), `user "u" has username, ${noPasswords}`],
    ['a password', user({ ...USER, password: 'secret' }), `user "u" has password, ${noPasswords}`],
    ['impersonation', user({ ...USER, as: 'ana' }), `user "u" has as, ${asItself}`],
    ['impersonated groups', user({ ...USER, 'as-groups': ['g'] }), `user "u" has as-groups, ${asItself}`],
    [
      'no verification',
      cluster({ 'insecure-skip-tls-verify': true }),
      'cluster "c" has insecure-skip-tls-verify, which is refused: name the certificate-authority instead',
    ],
    [
      'a proxy',
      cluster({ 'proxy-url': 'http://proxy' }),
      'cluster "c" has proxy-url, which is refused: the connector dials the API server itself; run it where it can reach that',
    ],
    ['no server', cluster({ server: '' }), 'no server is named'],
    ['a bare host', cluster({ server: 'api.example.com' }), 'the server is not a URL'],
    ['plain HTTP', cluster({ server: 'http://a' }), 'the server is not an https:// URL; a credential needs TLS'],
    [
      'a password in the URL',
      cluster({ server: 'https://a:b@c' }),
      'the server has a user name or a password in its URL',
    ],
    ['a query', cluster({ server: 'https://a/?b' }), 'the server has a query or a fragment in its URL'],
    ['an encoded path', cluster({ server: 'https://a/b%2fc' }), 'the path in the URL of the server is not plain'],
    ['a number for a token', user({ token: 7 }), 'user "u": token is not a string'],
    ['a token with a space', user({ token: 'a b' }), 'the token holds characters that no token has'],
    [
      'nothing to sign in with',
      user({ other: 1 }),
      'there is neither a token nor a client certificate to sign in with',
    ],
    [
      'an empty token file',
      user({ tokenFile: 'blank-token' }),
      `the token file ${join(directory, 'blank-token')} is empty`,
    ],
    ['no token file', user({ tokenFile: 'no' }), `cannot read ${join(directory, 'no')}: no such file`],
    ['a directory', user({ tokenFile: '.' }), `cannot read ${directory}: it is a directory`],
    [
      'an authority that is none',
      cluster({ 'certificate-authority-data': base64('x') }),
      'the certificate authority holds no PEM certificate',
    ],
    [
      'data that is not base64',
      cluster({ 'certificate-authority-data': '-----' }),
      'cluster "c": certificate-authority-data is not base64',
    ],
    ['another key', user(pair(client.cert, other.key)), 'the key of the client certificate belongs to another one'],
    [
      'no key at all',
      user(pair(client.cert, 'x')),
      'the key of the client certificate is not a PEM private key without passphrase',
    ],
    [
      'half a pair',
      user({ token: 'a', 'client-certificate-data': base64(client.cert) }),
      'user "u" has no client-key beside its other half',
    ],
  ])('with %s', async (_what, document, problem) => {
    expect(await problems(document)).toContain(problem)
  })

  test('not for a client certificate that has expired, but says when', async () => {
    const { lapseAt } = await load(user(pair(expired.cert, expired.key)))
    const now = Date.now()
    expect(lapseAt(now)).toMatch(/^the client certificate expired on \d{4}-\d\d-\d\dT/)
    const { lapseAt: ofCurrent } = await load(user(pair(client.cert, client.key)))
    const year = 365 * 24 * 3_600_000
    expect(ofCurrent(now)).toBe('')
    expect(ofCurrent(now - year)).toMatch(
      /^the certificate authority is not valid before .*; the client certificate is/,
    )
    expect(ofCurrent(now + year)).toMatch(/^the certificate authority expired on .*; the client certificate expired on/)
  })

  test.each<[string, object | string, string | undefined, string]>([
    ['no such context', kubeconfig(), 'staging', 'there is no context "staging"; there is "prod"'],
    [
      'no current context',
      { ...kubeconfig(), 'current-context': '' },
      undefined,
      'it has no current-context, and no context is configured',
    ],
    ['no such cluster', { ...kubeconfig(), clusters: [] }, undefined, 'there is no cluster "c"; there is none at all'],
    ['no such user', { ...kubeconfig(), users: null }, undefined, 'there is no user "u"; there is none at all'],
    [
      'the same user twice',
      {
        ...kubeconfig(),
        users: [
          { name: 'u', user: USER },
          { name: 'u', user: USER },
        ],
      },
      undefined,
      'there is more than one user "u"',
    ],
    ['an empty user', { ...kubeconfig(), users: [{ name: 'u' }] }, undefined, 'user "u" is empty'],
    ['a list', '[]', undefined, 'it is not a YAML mapping'],
    ['nothing', '', undefined, 'it has no current-context, and no context is configured'],
  ])('with %s', async (_what, document, context, problem) => {
    expect(await problems(document, context)).toEqual([problem])
  })

  test.each([
    ['a: [', 'it is not YAML: line 1 is malformed'],
    ['users:\n- user:\n    token: "hush\n', 'it is not YAML: line 4 is malformed'],
    ['token: hush\n  hush: hush hush\n', 'it is not YAML: line 1 is malformed'],
    ['a: *hush', 'it has aliases without anchors, or too many of them'],
  ])('with the bad YAML %j, and says where without quoting it', async (text, problem) => {
    expect(await problems(text)).toEqual([problem])
  })

  test('when it cannot be read', async () => {
    const missing = join(directory, 'missing')
    await expect(loadKubeconfig({ path: missing })).rejects.toThrow(
      new EndpointError([`kubeconfig ${missing}: cannot read ${missing}: no such file`]),
    )
  })

  test('with all that is wrong at once, and without quoting a secret', async () => {
    const wrong = kubeconfig(
      { server: 'http://a', 'proxy-url': 'x', 'certificate-authority': 'missing' },
      { exec: { command: 'x' }, token: 'hush hush', password: 'hush' },
    )
    const found = await problems(wrong)
    expect(found).toHaveLength(6)
    expect(found.join()).not.toContain('hush')
  })
})
