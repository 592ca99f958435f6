import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import type { PortalSocket } from '../../src/portal/sockets.ts'
import { nextSecond } from '../support/next-second.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { runAtTerminal } from '../support/person-at-terminal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attack I5.

const sockets: PortalSocket[] = ['production', 'staging', 'payroll'].map((name) => ({
  name,
  url: `https://kube.example.com/sockets/${name}`,
  certificateAuthority: '',
  recording: 'off',
}))
let issuer: StagedIssuer
let portal: StartedPortal
let laptop: Laptop

beforeAll(async () => {
  issuer = await startStagedIssuer()
  for (const socket of sockets) Object.assign(socket, { certificateAuthority: issuer.certificateAuthority })
  portal = await startPortal({
    issuers: [issuer.options()],
    sockets: () => sockets,
    mayReach: ({ username }, name) => (username === 'ana@example.com' && name !== 'payroll' ? ['read'] : []),
  })
})
afterAll(async () => {
  await Promise.all([portal.stop(), issuer.close()])
})
beforeEach(async () => {
  laptop = createLaptop()
  await keepLogin()
})
afterEach(() => {
  laptop.dispose()
})

async function keepLogin(
  claims: Record<string, unknown> = {},
  cacheDirectory = laptop.cacheDirectory,
  issuerURL = issuer.url,
): Promise<void> {
  const login = {
    version: 1,
    portal: portal.url,
    portalCertificateAuthority: portal.certificateAuthority,
    issuer: issuerURL,
    issuerCertificateAuthority: issuer.certificateAuthority,
    clientID: 'postern',
    // Each of a sign-in of its own.
    idToken: await issuer.sign({ nonce: randomUUID(), ...claims }),
    refreshToken: '',
    signedInAtMs: 1,
    expiresAtMs: Date.now() + 300_000,
    refreshAtMs: Date.now() + 300_000,
    refreshFailedAtMs: 0,
    refreshFailure: '',
  } as const
  saveLogin({ path: loginPath(cacheDirectory, login), login })
}

const set = (...args: string[]): Promise<CommandResult> => laptop.run(['client', 'kubeconfig', 'set', ...args])
const unset = (...args: string[]): Promise<CommandResult> => laptop.run(['client', 'kubeconfig', 'unset', ...args])
const written = (): unknown => parse(readFileSync(laptop.kubeconfig, 'utf8'))

test('every socket within reach gets a context, and the plugin in it prints the token', async () => {
  expect(await set()).toEqual({
    exitCode: 0,
    stdout: `context production is in ${laptop.kubeconfig}, and current\ncontext staging is in ${laptop.kubeconfig}\n`,
    stderr: '',
  })
  expect(written()).toMatchObject({
    clusters: [
      {
        name: 'production',
        cluster: {
          server: 'https://kube.example.com/sockets/production',
          'certificate-authority-data': Buffer.from(issuer.certificateAuthority).toString('base64'),
        },
      },
      { name: 'staging' },
    ],
    contexts: [
      { name: 'production', context: { cluster: 'production', user: 'production' } },
      { name: 'staging', context: { cluster: 'staging', user: 'staging' } },
    ],
    'current-context': 'production',
  })
  const { users } = written() as { users: { user: { exec: { command: string; args: string[] } } }[] }
  const [{ user } = { user: { exec: { command: '', args: [] } } }] = users
  expect(user.exec.command).toBe(process.execPath)
  const { exitCode, stdout } = await laptop.run(user.exec.args.slice(1))
  expect(exitCode).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ kind: 'ExecCredential' })
})

test('a kubeconfig in use keeps every byte of what is not ours, through set and unset', async () => {
  const own = `# managed by hand
apiVersion: v1
kind: Config
current-context:   minikube   # mine
clusters:
  - name: minikube
    cluster: {server: "https://192.168.49.2:8443"}   # do not touch
contexts:
  - context: {cluster: minikube, user: minikube}
    name: minikube
users:
# me
  - name: minikube
    user:
      client-certificate: /home/ana/.minikube/client.crt
`
  mkdirSync(dirname(laptop.kubeconfig))
  writeFileSync(laptop.kubeconfig, own)
  expect(await set('production', '--namespace', 'payments')).toMatchObject({ exitCode: 0 })
  const changed = readFileSync(laptop.kubeconfig, 'utf8')
  expect(changed).not.toBe(own)
  expect(changed.split('\n')).toEqual(expect.arrayContaining(own.split('\n')))
  expect(written()).toMatchObject({ 'current-context': 'minikube' })
  expect(await unset('production')).toMatchObject({ exitCode: 0, stdout: 'context production is removed\n' })
  expect(readFileSync(laptop.kubeconfig, 'utf8')).toBe(own)
})

test('two people can be in one file, each with a cache of their own', async () => {
  const other = join(laptop.home, 'omar')
  await keepLogin({ email: 'omar@example.com', sub: 'omar' }, other)
  await set('production', '--context-name', 'ana@{socket}')
  const asOmar = await laptop.run(['client', 'whoami', '--cache-directory', other])
  expect(asOmar.stdout).toContain('username: omar@example.com\n')
  expect(await set('--cache-directory', other, '--context-name', 'omar@{socket}')).toMatchObject({
    exitCode: 1,
    stderr: `postern: you may reach none at ${portal.url}; ask whoever runs it for a policy\n`,
  })
  await keepLogin({ sub: 'ana-too' }, other)
  expect(
    await set('staging', '--cache-directory', other, '--context-name', 'omar@{socket}', '--use-context', '-o', 'json'),
  ).toEqual({
    exitCode: 0,
    stderr: '',
    stdout: `${JSON.stringify([{ context: 'omar@staging', socket: 'staging', file: laptop.kubeconfig, current: true }], null, 2)}\n`,
  })
  const { users } = written() as { users: { user: { exec: { args: string[] } } }[] }
  expect(users.map(({ user }) => user.exec.args.slice(1))).toEqual([
    ['client', 'token', '--portal', portal.url],
    ['client', 'token', '--portal', portal.url, '--cache-directory', other],
  ])
})

test('a socket that is out of reach is told as one that is not there, and nothing is written', async () => {
  for (const name of ['payroll', 'no-such'])
    expect(await set(name)).toEqual({
      exitCode: 64,
      stdout: '',
      stderr: `postern: there is no socket "${name}" at ${portal.url}; you may reach production, staging\n`,
    })
  expect(existsSync(laptop.kubeconfig)).toBe(false)
})

test('without a login nothing is asked and nothing written', async () => {
  const seen = portal.seen.length
  const elsewhere = ['--cache-directory', join(laptop.home, 'empty')]
  expect(await set(...elsewhere)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('postern client login') as unknown,
  })
  expect(portal.seen).toHaveLength(seen)
  expect(existsSync(laptop.kubeconfig)).toBe(false)
})

test('a broken kubeconfig is left as it is', async () => {
  mkdirSync(dirname(laptop.kubeconfig))
  writeFileSync(laptop.kubeconfig, 'clusters: [')
  const { exitCode, stderr } = await set()
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(new RegExp(`^postern: ${laptop.kubeconfig} is no kubeconfig: .*--kubeconfig\n$`))
  expect(readFileSync(laptop.kubeconfig, 'utf8')).toBe('clusters: [')
})

test('unset of what is not there says so', async () => {
  expect(await unset()).toEqual({ exitCode: 0, stdout: '', stderr: 'There is no context of Postern to remove.\n' })
  expect(await unset('gone')).toEqual({
    exitCode: 64,
    stdout: '',
    stderr: 'postern: no context of Postern is called gone\n',
  })
})

test('the sockets are listed for people and for programs', async () => {
  expect((await laptop.run(['client', 'sockets'])).stdout).toBe(
    [
      'NAME         ACCESS   URL',
      'production   read     https://kube.example.com/sockets/production',
      'staging      read     https://kube.example.com/sockets/staging',
      '',
    ].join('\n'),
  )
  const { stdout } = await laptop.run(['client', 'sockets', '-o', 'json'])
  expect(JSON.parse(stdout)).toMatchObject({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'SocketList',
    items: [{ metadata: { name: 'production' } }, { metadata: { name: 'staging' } }],
  })
})

test('signing out ends the logins with all issuers, or with the one that is named', async () => {
  onTestFinished(nextSecond)
  const logout = (...args: string[]): Promise<CommandResult> => laptop.run(['client', 'logout', ...args])
  const other = 'https://other.example.com'
  await keepLogin({}, laptop.cacheDirectory, other)
  expect(await logout('--issuer', other)).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await logout('--issuer', other)).toMatchObject({ exitCode: 1 })
  await keepLogin({}, laptop.cacheDirectory, other)
  expect(await logout()).toMatchObject({ exitCode: 0, stderr: '' })
  for (const url of [issuer.url, other]) expect(await logout('--issuer', url)).toMatchObject({ exitCode: 1 })
})

describe.skipIf(process.platform !== 'linux')('a person at a terminal', () => {
  const contexts = (): string[] => (written() as { contexts: { name: string }[] }).contexts.map(({ name }) => name)
  const QUESTION = /Which sockets do you want in your kubeconfig\?.*: $/

  test('is asked which sockets, again when the answer is none, and gets those', async () => {
    const { exitCode, shown } = await runAtTerminal(
      laptop,
      ['client', 'kubeconfig', 'set'],
      [
        [QUESTION, '7'],
        [QUESTION, '2'],
      ],
    )
    expect(exitCode, shown).toBe(0)
    expect(shown).toContain('1  production  (read)\n  2  staging  (read)\n')
    expect(contexts()).toEqual(['staging'])
  })

  test('gets all with --all, without a question', async () => {
    const { exitCode, shown } = await runAtTerminal(laptop, ['client', 'kubeconfig', 'set', '--all'], [])
    expect([exitCode, shown]).toEqual([0, expect.not.stringContaining('?')])
    expect(contexts()).toEqual(['production', 'staging'])
  })

  test('who ends the input gets none', async () => {
    const { exitCode } = await runAtTerminal(laptop, ['client', 'kubeconfig', 'set'], [[QUESTION, '\u0004']])
    expect(exitCode).toBe(64)
    expect(existsSync(laptop.kubeconfig)).toBe(false)
  })
})

test('who wants no browser from kubectl keeps it that way', async () => {
  expect(await set('production')).toMatchObject({ exitCode: 0 })
  const before = readFileSync(laptop.kubeconfig, 'utf8')
  expect(before).toContain('interactiveMode: IfAvailable')
  writeFileSync(laptop.kubeconfig, before.replace('IfAvailable', 'Never'))
  expect(await set('production', '--namespace', 'payments')).toMatchObject({ exitCode: 0 })
  expect(readFileSync(laptop.kubeconfig, 'utf8')).toContain('interactiveMode: Never')
})
