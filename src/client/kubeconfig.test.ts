import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { setContexts, unsetContexts, type SetRequest } from './kubeconfig.ts'
import type { Socket } from './portal.ts'

const PORTAL = 'https://postern.example.com'
const socket = (name: string): Socket => ({
  metadata: { name },
  status: { url: `https://kube.example.com/sockets/${name}`, certificateAuthorityData: 'UEVN', access: ['read'] },
})

let directory: string
let file: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-kubeconfig-'))
  file = join(directory, 'config')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const BASE: SetRequest = {
  portal: PORTAL,
  sockets: [socket('production')],
  plugin: ['postern', 'client', 'token', '--portal', PORTAL],
  contextName: '{socket}',
  makeCurrent: false,
  env: {},
}
const request = (changes: Partial<SetRequest> = {}): SetRequest => ({ ...BASE, kubeconfig: file, ...changes })
const read = (path = file): unknown => parse(readFileSync(path, 'utf8'))

test('a socket becomes a cluster, a user that runs postern, and the current context when there was none', async () => {
  await expect(setContexts(request({ namespace: 'payments' }))).resolves.toEqual([
    { context: 'production', socket: 'production', file, current: true },
  ])
  expect(read()).toEqual({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'production',
        cluster: { server: 'https://kube.example.com/sockets/production', 'certificate-authority-data': 'UEVN' },
      },
    ],
    users: [
      {
        name: 'production',
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: 'postern',
            args: ['client', 'token', '--portal', PORTAL],
            installHint: expect.stringContaining(PORTAL) as string,
            interactiveMode: 'IfAvailable',
            provideClusterInfo: false,
          },
        },
      },
    ],
    contexts: [{ name: 'production', context: { cluster: 'production', user: 'production', namespace: 'payments' } }],
    'current-context': 'production',
  })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(existsSync(`${file}.lock`)).toBe(false)
})

test('another current context stays unless it is asked for', async () => {
  writeFileSync(file, 'current-context: mine\n')
  await setContexts(request())
  expect(read()).toMatchObject({ 'current-context': 'mine' })
  await expect(setContexts(request({ makeCurrent: true }))).resolves.toMatchObject([{ current: true }])
  expect(read()).toMatchObject({ 'current-context': 'production' })
})

test('setting again changes nothing, not even the bytes of what a person added', async () => {
  await setContexts(request())
  const text = readFileSync(file, 'utf8').replace('server:', 'proxy-url: socks5://localhost:1080 # office\n    server:')
  writeFileSync(file, text)
  await setContexts(request())
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test('what a person added to our entries outlives a change of ours', async () => {
  await setContexts(request({ namespace: 'payments' }))
  const text = readFileSync(file, 'utf8')
    .replace('server:', 'insecure-skip-tls-verify: true\n    proxy-url: socks5://localhost\n    server:')
    .replace('UEVN', 'T0xE')
  writeFileSync(file, text)
  await setContexts(request())
  expect(read()).toMatchObject({
    clusters: [{ cluster: { 'proxy-url': 'socks5://localhost', 'certificate-authority-data': 'UEVN' } }],
    contexts: [{ context: { namespace: 'payments' } }],
  })
  expect(readFileSync(file, 'utf8')).not.toContain('insecure')
})

test('an entry that is not ours is never overwritten', async () => {
  const foreign = 'clusters:\n- name: production\n  cluster: {server: https://theirs}\n'
  writeFileSync(file, foreign)
  await expect(setContexts(request())).rejects.toThrow(`--context-name '{socket}@{portal}'`)
  expect(readFileSync(file, 'utf8')).toBe(foreign)
  await setContexts(request({ contextName: 'ana@{socket}.{portal}' }))
  expect(read()).toMatchObject({ contexts: [{ name: 'ana@production.postern.example.com' }] })
})

test('several sockets need a name each', async () => {
  const sockets = [socket('production'), socket('staging')]
  await expect(setContexts(request({ sockets, contextName: 'mine' }))).rejects.toThrow('{socket}')
  expect(existsSync(file)).toBe(false)
  await expect(setContexts(request({ sockets }))).resolves.toMatchObject([
    { context: 'production', current: true },
    { context: 'staging', current: false },
  ])
})

test('of the files in KUBECONFIG the one with the entry is changed, else the first that exists', async () => {
  const [one, two, three] = ['one', 'two', 'three'].map((name) => join(directory, name)) as [string, string, string]
  const env = { KUBECONFIG: `${one}::${two}:${three}` }
  const listed = { ...BASE, env }
  writeFileSync(two, 'kind: Config\n')
  await setContexts(listed)
  expect(read(two)).toMatchObject({ contexts: [{ name: 'production' }], 'current-context': 'production' })
  writeFileSync(one, 'kind: Config\n')
  await setContexts({ ...listed, namespace: 'payments' })
  expect(read(two)).toMatchObject({ contexts: [{ context: { namespace: 'payments' } }] })
  await setContexts({ ...listed, sockets: [socket('staging')] })
  expect(read(one)).toMatchObject({ contexts: [{ name: 'staging' }] })
  expect(existsSync(three)).toBe(false)

  await expect(unsetContexts({ env, contexts: [] })).resolves.toEqual(['production', 'staging'])
  expect(read(one)).toMatchObject({ clusters: [], users: [], contexts: [] })
  expect(read(two)).toMatchObject({ clusters: [], users: [], contexts: [], 'current-context': '' })
})

test('without any file the last one of KUBECONFIG is made', async () => {
  const last = join(directory, 'deep', 'last')
  const env = { KUBECONFIG: `${file}:${last}` }
  await expect(setContexts({ ...BASE, env })).resolves.toMatchObject([{ file: last }])
  expect(statSync(join(directory, 'deep')).mode & 0o777).toBe(0o700)
})

test('unset leaves other people and other portals alone', async () => {
  const before = 'users:\n- name: mine # keep\n  user: {token: t}\n'
  writeFileSync(file, before)
  const other = 'https://other.example.com'
  await setContexts(request({ contextName: 'a' }))
  await setContexts(
    request({ contextName: 'b', portal: other, plugin: ['postern', 'client', 'token', '--portal', other] }),
  )
  await expect(unsetContexts({ kubeconfig: file, env: {}, contexts: ['mine'] })).resolves.toEqual([])
  await expect(unsetContexts({ kubeconfig: file, env: {}, portal: other, contexts: [] })).resolves.toEqual(['b'])
  await expect(unsetContexts({ kubeconfig: file, env: {}, contexts: ['a'] })).resolves.toEqual(['a'])
  expect(readFileSync(file, 'utf8').startsWith(before)).toBe(true)
  expect(read()).toMatchObject({ users: [{ name: 'mine' }], contexts: [], clusters: [] })
})

test('a file keeps its mode, and a symbolic link stays one', async () => {
  const target = join(directory, 'dotfiles')
  writeFileSync(target, 'kind: Config\n', { mode: 0o640 })
  symlinkSync(target, file)
  await setContexts(request())
  expect(read(target)).toMatchObject({ contexts: [{ name: 'production' }] })
  expect(statSync(target).mode & 0o777).toBe(0o640)
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(target, 'utf8'))
})

test('while kubectl holds its lock nothing is written', async () => {
  writeFileSync(`${file}.lock`, '')
  await expect(setContexts(request())).rejects.toThrow(`${file}.lock exists`)
  expect(existsSync(file)).toBe(false)
  expect(existsSync(`${file}.lock`)).toBe(true)
})
