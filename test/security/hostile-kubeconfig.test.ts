import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import { loadKubeconfig } from '../../src/upstream/kubeconfig.ts'

// Attack I4.
//
// A kubeconfig may name programs to run, files to send and proxies to send them through. Whoever can have one imported
// would run programs where the connector runs.

let directory: string
let proof: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-kubeconfig-'))
  proof = join(directory, 'proof')
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

async function load({ user = 'token: x', cluster = '', rest = '' }): Promise<unknown> {
  const path = join(directory, 'kubeconfig')
  await writeFile(
    path,
    `apiVersion: v1
kind: Config
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { server: "https://127.0.0.1:6443"${cluster === '' ? '' : `, ${cluster}`} } }]
users: [{ name: a, user: { ${user} } }]
${rest}`,
  )
  return await loadKubeconfig({ path })
}

test.each([
  ['a program', () => `exec: { apiVersion: client.authentication.k8s.io/v1, command: touch, args: ["${proof}"] }`],
  ['a program beside a token', () => `token: x, exec: { command: touch, args: ["${proof}"] }`],
  ['a provider', () => `auth-provider: { name: gcp, config: { cmd-path: touch, cmd-args: "${proof}" } }`],
  ['a password', () => 'username: admin, password: admin'],
  ['another name', () => 'token: x, as: "system:admin"'],
  ['another group', () => 'token: x, as-groups: ["system:masters"]'],
  ['another uid', () => 'token: x, as-uid: "0"'],
  ['nothing', () => ''],
  ['half a certificate', () => 'client-certificate: tls.crt'],
])('a user with %s is refused, and nothing runs', async (_, user) => {
  await expect(load({ user: user() })).rejects.toThrow()
  await expect(access(proof)).rejects.toThrow()
})

test.each([
  ['a proxy', 'proxy-url: "http://evil.example:3128"'],
  ['no verification', 'insecure-skip-tls-verify: true'],
  ['a device for an authority', 'certificate-authority: /dev/zero'],
  ['a secret for an authority', 'certificate-authority: /etc/passwd'],
  ['a directory for an authority', 'certificate-authority: /tmp'],
])('a cluster with %s is refused', async (_, cluster) => {
  await expect(load({ cluster })).rejects.toThrow()
})

test.each([
  ['a device for a token', 'tokenFile: /dev/zero'],
  ['a file of lines for a token', 'tokenFile: /etc/passwd'],
])('a user with %s is refused, and the file is not quoted', async (_, user) => {
  const failure = await load({ user }).then(
    () => 'loaded',
    (error: unknown) => String(error),
  )
  expect(failure).not.toBe('loaded')
  expect(failure).not.toContain('root:')
})

test('aliases without end are refused', async () => {
  const bomb = Array.from({ length: 12 }, (_, i) => `b${i + 1}: &b${i + 1} [${`*b${i}, `.repeat(9)}*b${i}]`).join('\n')
  const spentMs = cpuStopwatch()
  await expect(load({ rest: `b0: &b0 [x]\n${bomb}\n` })).rejects.toThrow()
  expect(spentMs()).toBeLessThan(2_000)
})
