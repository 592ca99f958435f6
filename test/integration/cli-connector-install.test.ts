import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { createOpsServer } from '../../src/gateway/ops-server.ts'
import { type CommandResult, type Laptop, createLaptop } from '../support/postern-command.ts'

const systemdRunsHere = existsSync('/run/systemd/system')
const missing = ['systemctl', 'systemd-sysusers', 'systemd-analyze'].filter(
  (command) => spawnSync(command, ['--version']).error !== undefined,
)
/** As `systemd-analyze security` weighs what a service could do: 0 is nothing, 10 is everything. */
const MOST_EXPOSURE = 2

const authority = createCertificateAuthority()
const DOCUMENT = `apiVersion: postern.dev/v1alpha1
kind: Connector
listen:
  kubernetes: { tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://kube.example.com' }
  portal: { tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://postern.example.com' }
identity:
  issuers:
  - issuer: { url: 'https://sso.example.com', audiences: [postern] }
    client: { id: postern }
    claimMappings: { username: { claim: email, prefix: '' } }
sockets:
- name: production
  upstream:
    server: { url: 'https://127.0.0.1:9', certificateAuthority: ca.crt, credential: { token: { file: token } } }
policies: [policy.yaml]
audit: { trail: { directory: /srv/postern/audit } }
recordings: { store: { directory: /var/lib/postern/recordings } }
stateDirectory: /srv/postern/state
limits: { shutdownDelay: 5s, drainTimeout: 45s }
`
const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: readers }
spec:
  subjects: { groups: [readers] }
  rules: [{ verbs: [get], resources: [pods] }]
`

let laptop: Laptop
let root: string
let config: string

beforeEach(() => {
  laptop = createLaptop()
  root = mkdtempSync(join(tmpdir(), 'postern-root-'))
  const directory = join(root, 'etc/postern')
  mkdirSync(directory, { recursive: true })
  const { cert, key } = authority.issueServer({ hosts: ['kube.example.com', 'postern.example.com'] })
  const files = { 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.certificate, token: 'a', 'policy.yaml': POLICY }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  config = join(directory, 'connector.yaml')
  writeFileSync(config, DOCUMENT)
})
afterEach(() => {
  laptop.dispose()
  rmSync(root, { recursive: true })
})

const postern = (...args: string[]): Promise<CommandResult> =>
  laptop.run(['connector', ...args], { PATH: process.env['PATH'] })
const unitFile = (): string => join(root, 'etc/systemd/system/postern.service')

test('--dry-run prints the files and changes nothing', async () => {
  const before = readdirSync(root, { recursive: true })
  const { exitCode, stdout, stderr } = await postern('install', '--dry-run', '--config', config, '--root', root)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toMatch(/^# \/etc\/sysusers\.d\/postern\.conf\nu postern /)
  expect(stdout).toContain(`main.ts connector start --config /etc/postern/connector.yaml\n`)
  expect(stdout).toContain('\nEnvironmentFile=-/etc/postern/environment\n')
  expect(stdout).toContain('\nTimeoutStopSec=80s\n')
  expect(stdout).toContain('\nReadWritePaths=/srv/postern/audit\n')
  expect(stdout).toContain('\nReadWritePaths=/srv/postern/state\n')
  expect(stdout).not.toContain('/var/lib/postern/recordings')
  expect(readdirSync(root, { recursive: true })).toEqual(before)
})

test('a document that is wrong is not installed', async () => {
  writeFileSync(config, DOCUMENT.replace('[policy.yaml]', '[nothing.yaml]'))
  const { exitCode, stderr } = await postern('install', '--config', config, '--root', root)
  expect(exitCode).toBe(78)
  expect(stderr).toContain('"nothing.yaml" matches no file')
  expect(existsSync(unitFile())).toBe(false)
})

describe('the variables of the service', () => {
  const dryRun = (): Promise<CommandResult> =>
    laptop.run(['connector', 'install', '--dry-run', '--config', config, '--root', root], {
      PATH: process.env['PATH'],
      TOK: 'of-who-installs',
    })
  beforeEach(() => {
    writeFileSync(config, DOCUMENT.replace('{ token: { file: token } }', '{ token: { env: TOK } }'))
  })

  test('are not those of who installs it', async () => {
    const { exitCode, stdout, stderr } = await dryRun()
    expect([exitCode, stdout]).toEqual([78, ''])
    expect(stderr).toContain('credential.token.env: TOK is not set')
    const file = join(root, 'etc/postern/environment')
    expect(stderr).toContain(`The service has no variables but those in ${file}: NAME=VALUE, one a line, mode 0600\n`)
  })

  test('are in a file beside the document, for its owner alone', async () => {
    const file = join(root, 'etc/postern/environment')
    writeFileSync(file, 'TOK="of the service"\n', { mode: 0o640 })
    expect(await dryRun()).toMatchObject({
      exitCode: 64,
      stdout: '',
      stderr: `postern: ${file} is not its owner's alone, and may hold secrets; run: chmod 0600 ${file}\n`,
    })
    chmodSync(file, 0o600)
    const { exitCode, stdout, stderr } = await dryRun()
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).not.toContain('of the service')
  })
})

describe('what the service does not see', () => {
  test('is told of the document itself', async () => {
    const { exitCode, stderr } = await postern('install', '--dry-run', '--config', config)
    expect(exitCode).toBe(64)
    expect(stderr).toContain(
      `postern: the document is ${config}, in /tmp, which the service does not see (PrivateTmp=yes in its unit)`,
    )
  })

  test('is told of each file that the document names', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'postern-elsewhere-'))
    try {
      for (const name of ['tls.key', 'ca.crt', 'policy.yaml']) {
        writeFileSync(join(elsewhere, name), readFileSync(join(root, 'etc/postern', name)))
      }
      symlinkSync(join(elsewhere, 'tls.key'), join(root, 'etc/postern/linked.key'))
      writeFileSync(
        config,
        DOCUMENT.replace('key: tls.key', 'key: linked.key')
          .replace('certificateAuthority: ca.crt', `certificateAuthority: ${elsewhere}/ca.crt`)
          .replace('[policy.yaml]', `['${elsewhere}/*.yaml']`)
          .replace('/srv/postern/audit', '/home/postern/audit'),
      )
      const { exitCode, stderr } = await postern('install', '--dry-run', '--config', config, '--root', root)
      expect(exitCode).toBe(78)
      for (const [at, path] of [
        ['listen.kubernetes.tls.key', join(root, 'etc/postern/linked.key')],
        ['sockets[0].upstream.server.certificateAuthority', join(elsewhere, 'ca.crt')],
        ['policies[0]', join(elsewhere, 'policy.yaml')],
      ])
        expect(stderr).toContain(
          `${at}: ${path} is in /tmp, which the service does not see (PrivateTmp=yes in its unit)`,
        )
      expect(stderr).toContain('audit.trail.directory: /home/postern/audit is in /home, which the service does not see')
      expect(stderr.trim().split('\n')).toHaveLength(4)
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })
})

test.skipIf(systemdRunsHere).each(['install', 'uninstall'])('%s says so where there is no systemd', async (command) => {
  const { exitCode, stderr } = await postern(command, ...(command === 'install' ? ['--config', config] : []))
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/^postern: there is no systemd: .*start it as `postern connector start --config FILE`/)
  expect(stderr.trimEnd()).not.toContain('\n')
})

describe('status', () => {
  async function opsWith(ready: boolean): Promise<string> {
    const server = createOpsServer({
      checks: () => [{ name: 'audit', ready, reason: ready ? '' : 'the trail cannot be written' }],
      policy: () => expect.unreachable(),
      metrics: () => expect.unreachable(),
    }).listen(0, '127.0.0.1')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test.skipIf(systemdRunsHere)('asks the connector where there is no systemd', async () => {
    const ready = await postern('status', '--ops', await opsWith(true))
    expect(ready).toEqual({ exitCode: 0, stdout: 'ready:    yes\n  [+]audit ok\n', stderr: '' })
    const ops = await opsWith(false)
    const unready = await postern('status', '--ops', ops, '-o', 'json')
    expect(unready).toMatchObject({ exitCode: 1, stderr: '' })
    expect(JSON.parse(unready.stdout)).toEqual({
      service: null,
      ready: false,
      checks: ['[-]audit failed: the trail cannot be written'],
      problem: '',
    })
  })

  test('says that nobody answers, or somebody else', async () => {
    const nobody = await postern('status', '--ops', 'http://127.0.0.1:9')
    expect(nobody).toMatchObject({ exitCode: 1 })
    expect(nobody.stdout).toMatch(
      /ready: +no\n {2}nothing answers at http:\/\/127\.0\.0\.1:9; name the ops listener with --ops\n$/,
    )
    const other = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1')
    onTestFinished(() => {
      other.closeAllConnections()
      other.close()
    })
    await once(other, 'listening')
    const somebody = await postern('status', '--ops', `http://127.0.0.1:${(other.address() as AddressInfo).port}`)
    expect(somebody).toMatchObject({ exitCode: 1 })
    expect(somebody.stdout).toMatch(/answers 200, and no connector; name the ops listener with --ops\n$/)
  })
})

describe.skipIf(missing.length > 0)('in the tree of a system', () => {
  beforeEach(() => {
    // What systemd-sysusers and `systemctl enable` want to see.
    mkdirSync(join(root, 'usr/lib/systemd/system'), { recursive: true })
    writeFileSync(join(root, 'usr/lib/systemd/system/multi-user.target'), '[Unit]\nDescription=Multi-User System\n')
  })

  test('install makes the user and enables the unit, once', async () => {
    const first = await postern('install', '--config', config, '--root', root)
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(first.stdout).toContain('postern.service is written')
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toMatch(
      /^postern:x?!?\*?:\d+:\d+:Postern connector:\/var\/lib\/postern:\/usr\/sbin\/nologin$/m,
    )
    expect(existsSync(join(root, 'etc/systemd/system/multi-user.target.wants'))).toBe(true)
    const unit = readFileSync(unitFile(), 'utf8')

    const again = await postern('install', '--config', config, '--root', root)
    expect(again).toMatchObject({ exitCode: 0, stderr: '' })
    expect(again.stdout.match(/is as it should be/g)).toHaveLength(2)
    expect(readFileSync(unitFile(), 'utf8')).toBe(unit)

    writeFileSync(config, DOCUMENT.replace('45s', '50s'))
    const changed = await postern('install', '--config', config, '--root', root)
    expect(changed.stdout).toContain('postern.service is replaced')
  })

  test('uninstall takes it back, once, and leaves the document', async () => {
    await postern('install', '--config', config, '--root', root)
    const first = await postern('uninstall', '--root', root)
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(first.stdout).toContain('postern.service is gone')
    expect(existsSync(unitFile())).toBe(false)
    expect(existsSync(join(root, 'etc/systemd/system/multi-user.target.wants/postern.service'))).toBe(false)
    expect(existsSync(config)).toBe(true)
    const again = await postern('uninstall', '--root', root)
    expect(again).toMatchObject({ exitCode: 0, stdout: 'postern.service is not installed\n' })
  })

  test('systemd reads the unit without a complaint, and finds little that the service could do', async () => {
    await postern('install', '--config', config, '--root', root)
    const verified = spawnSync('systemd-analyze', ['verify', unitFile()], { encoding: 'utf8' })
    expect(verified.stderr.split('\n').filter((line) => line.includes('postern.service'))).toEqual([])
    const weighed = execFileSync(
      'systemd-analyze',
      ['security', '--offline=true', '--json=off', '--no-pager', unitFile()],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const exposure = /Overall exposure level for postern\.service: ([\d.]+)/.exec(weighed)?.[1]
    expect(Number(exposure)).toBeLessThan(MOST_EXPOSURE)
  })
})
