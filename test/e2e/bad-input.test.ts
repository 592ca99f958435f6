import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { describe, expect, inject, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type Connector, type ConnectorParts, startConnector } from '../../sandbox/connector.ts'
import { freePorts } from '../../sandbox/free-ports.ts'
import { startIdentityProvider } from '../../sandbox/identity-provider.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { runKubectl } from '../../sandbox/kubectl.ts'
import { runPostern } from '../../sandbox/postern.ts'
import { logIn, setKubeconfig } from '../../sandbox/sign-in.ts'
import { startTcpRelay } from './tcp-relay.ts'

const surroundings = inject('surroundings')
const { controlPlane, issuer } = surroundings

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(surroundings.directory, 'bad-input-'))
  await copyFile(new URL('policies.yaml', import.meta.url), join(directory, 'policies.yaml'))
  return directory
}

interface Differences {
  readonly kubeconfig?: string
  readonly issuer?: ConnectorParts['issuer']
}

/** A connector in front of the shared control plane, but for what is given. */
async function start(given: Differences, directory?: string): Promise<Connector> {
  return startConnector(directory ?? (await newDirectory()), {
    sockets: [
      { name: 'production', upstream: { kubeconfig: { path: given.kubeconfig ?? controlPlane.adminKubeconfig } } },
    ],
    policies: ['policies.yaml'],
    issuer: given.issuer ?? issuer,
  })
}

/** What a connector says that does not start: its exit code, then its lines. */
async function refusalToStart(given: Differences): Promise<string[]> {
  const directory = await newDirectory()
  const error = await start(given, directory).then(
    () => {
      throw new Error('the connector started')
    },
    (cause: unknown) => cause as Error,
  )
  const [, code = '', text = ''] = /^the connector ended with (\d+): ([^]*)$/.exec(error.message) ?? []
  return [code, ...text.trimEnd().replaceAll(directory, '.').split('\n')]
}

async function readiness({ opsURL }: Connector): Promise<{ status: number; text: string }> {
  const response = await fetch(`${opsURL}/readyz?verbose`)
  return { status: response.status, text: await response.text() }
}

/**
 * Ana's kubectl, pointed at another connector than the one that she signed in with. It asks for nothing but the pods:
 * what kubectl says when it cannot discover the API is its own.
 */
function getPodsThrough(connector: Pick<Connector, 'kubernetesURL' | 'certificateAuthority'>, socket = 'production') {
  return runKubectl({ kubectl: controlPlane.kubectl, kubeconfig: surroundings.kubeconfigs.ana }, [
    `--server=${connector.kubernetesURL}/sockets/${socket}`,
    `--certificate-authority=${connector.certificateAuthority.path}`,
    ...['get', '--raw', '/api/v1/namespaces/default/pods'],
  ])
}

async function getJSON(url: string, ca: string): Promise<{ statusCode: number | undefined; body: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  get(url, { ca, agent: false }, resolve).on('error', reject)
  const response = await promise
  return { statusCode: response.statusCode, body: await json(response) }
}

test('connector check prints six mistakes at once, each with its line', async () => {
  const directory = await newDirectory()
  const { cert, key } = createCertificateAuthority().issueServer({
    hosts: ['kube.example.com', 'postern.example.com'],
  })
  await writeFile(join(directory, 'tls.crt'), cert)
  await writeFile(join(directory, 'tls.key'), key)
  await copyFile(controlPlane.adminKubeconfig, join(directory, 'kubeconfig.yaml'))
  const document = join(directory, 'connector.yaml')
  const tls = 'tls: { certificate: tls.crt, key: tls.key }'
  const lines = [
    'apiVersion: postern.dev/v1alpha1',
    'kind: Connector',
    'listen:',
    `  kubernetes: { address: '127.0.0.1:99999', ${tls}, publicURL: 'https://kube.example.com' }`,
    `  portal: { address: '127.0.0.1:8444', ${tls}, publicURL: 'http://postern.example.com' }`,
    'identity:',
    '  issuers:',
    '    - issuer: { url: https://sso.example.com, audiences: [] }',
    '      client: { id: postern }',
    "      claimMappings: { username: { claim: email, prefix: '' } }",
    'sockets:',
    '  - name: production',
    '    upstream: { kubeconfig: { path: kubeconfig.yaml } }',
    '    forwadAs: connector',
    'policies: [nowhere.yaml]',
    'limits: { drainTimeout: 10 }',
    'audit: { trail: { directory: audit } }',
  ]
  await writeFile(document, lines.join('\n'))
  const { exitCode, stdout } = await runPostern(['connector', 'check', '--config', document])
  expect(exitCode).toBe(78)
  expect(stdout.replaceAll(directory, '.').trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^\.\/connector\.yaml:4: listen\.kubernetes\.address: is "127\.0\.0\.1:99999", expected /),
    expect.stringMatching(/^\.\/connector\.yaml:5: listen\.portal\.publicURL: is "http:.*", expected an https/),
    expect.stringMatching(/^\.\/connector\.yaml:8: identity\.issuers\[0\]\.issuer\.audiences: .*, expected at least 1/),
    expect.stringMatching(/^\.\/connector\.yaml:14: sockets\[0\]\.forwadAs: unknown key, did you mean "forwardAs"\?$/),
    expect.stringMatching(/^\.\/connector\.yaml:15: policies\[0\]: "nowhere\.yaml" matches no file/),
    expect.stringMatching(/^\.\/connector\.yaml:16: limits\.drainTimeout: is the number 10, expected a duration/),
  ])
  const started = await runPostern(['connector', 'start', '--config', document])
  expect(started.exitCode).toBe(78)
  expect(started.stderr.trimEnd().split('\n')).toEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => `postern: ${line}`),
  )
})

describe('the connector does not start, and says why in one line', { concurrent: true }, () => {
  const upstream = /^postern: \.\/connector\.yaml:\d+: sockets\[0\]\.upstream\.kubeconfig: kubeconfig /

  test('with a kubeconfig that is not there', async () => {
    const path = join(surroundings.directory, 'nowhere.yaml')
    const [code, line, ...more] = await refusalToStart({ kubeconfig: path })
    expect([code, ...more]).toEqual(['78'])
    expect(line).toMatch(upstream)
    expect(line).toContain('no such file')
  })

  test('with a kubeconfig that is a directory', async () => {
    const [code, line, ...more] = await refusalToStart({ kubeconfig: surroundings.directory })
    expect([code, ...more]).toEqual(['78'])
    expect(line).toMatch(upstream)
    expect(line).toContain('it is a directory')
  })

  test('with a kubeconfig that is no YAML', async () => {
    const path = join(await newDirectory(), 'broken.yaml')
    await writeFile(path, 'apiVersion: v1\nkind: [\n')
    const [code, line, ...more] = await refusalToStart({ kubeconfig: path })
    expect([code, ...more]).toEqual(['78'])
    expect(line).toMatch(upstream)
    expect(line).toContain('it is not YAML')
  })
})

test('with a client certificate that has expired the connector starts, and says why its socket is not ready', async () => {
  await using connector = await start({ kubeconfig: surroundings.expiredKubeconfig })
  await expect
    .poll(async () => (await readiness(connector)).text)
    .toMatch(/^\[-\]socket\/production failed: .*the client certificate expired on /m)
  const { code, stderr } = await getPodsThrough(connector)
  expect([code, stderr]).toEqual([1, expect.stringContaining('Error from server')])
  expect(await connector.stop()).toBe(0)
})

test('a port that is taken ends the start with one line', async () => {
  const directory = await newDirectory()
  const connector = await start({}, directory)
  await connector.stop()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(Number(new URL(connector.portalURL).port), '127.0.0.1', resolve))
  try {
    const { exitCode, stderr } = await runPostern(['connector', 'start', '--config', connector.documentPath])
    const { port } = taken.address() as AddressInfo
    expect(exitCode).toBe(1)
    // Beside what is logged meanwhile, such as that the issuer answers.
    const said = stderr.trimEnd().split('\n')
    const logged = said.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { level: number })
    expect(logged.every(({ level }) => level === 30)).toBe(true)
    expect(said.filter((line) => !line.startsWith('{'))).toEqual([
      expect.stringContaining(`postern: cannot listen on 127.0.0.1:${port}: another program listens there`),
    ])
  } finally {
    taken.close()
  }
})

test('a socket that does not exist is a 404 Status', async () => {
  const { kubernetesURL, certificateAuthority } = surroundings.connector
  const answer = await getJSON(`${kubernetesURL}/sockets/nowhere/api/v1/pods`, certificateAuthority.pem)
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }
  expect(answer).toMatchObject({ statusCode: 404, body: status })
  expect(answer.body).toHaveProperty(
    'message',
    expect.stringMatching(/^there is no socket "nowhere"; run: postern client sockets.* \(audit id [0-9a-f-]+\)$/),
  )
  const { code, stderr } = await getPodsThrough(surroundings.connector, 'nowhere')
  expect(code).toBe(1)
  expect(stderr).toContain('Error from server (NotFound): there is no socket "nowhere"; run: postern client sockets')
})

test('while the API server is down, its socket answers 503, and recovers by itself', async () => {
  await using relay = await startTcpRelay(Number(new URL(controlPlane.server).port))
  const directory = await newDirectory()
  const kubeconfig = join(directory, 'kubeconfig.yaml')
  const original = await readFile(controlPlane.adminKubeconfig, 'utf8')
  await writeFile(kubeconfig, original.replaceAll(controlPlane.server, `https://127.0.0.1:${relay.port}`))
  await relay.cut()
  await using connector = await start({ kubeconfig }, directory)
  const unreachable = async (): Promise<void> => {
    const { code, stderr } = await getPodsThrough(connector)
    expect(code).toBe(1)
    expect(stderr).toContain('Error from server (ServiceUnavailable): the API server of this socket cannot be reached')
  }
  await unreachable()
  const { status, text } = await readiness(connector)
  expect(status).toBe(503)
  expect(text).toMatch(/^\[-\]socket\/production failed: .*cannot be reached.*ECONNREFUSED/m)

  await relay.mend()
  await connector.ready()
  expect(await getPodsThrough(connector)).toMatchObject({ code: 0 })
  await relay.cut()
  await unreachable()
  await relay.mend()
  expect(await getPodsThrough(connector)).toMatchObject({ code: 0 })
  expect(await connector.stop()).toBe(0)
})

test('without its identity provider the connector starts, says that it is not ready, and recovers', async () => {
  const [port = 0] = await freePorts(1)
  const authority = createCertificateAuthority()
  const url = `https://127.0.0.1:${port}`
  const absent = { url, certificateAuthority: authority.certificate, clientID: 'postern' }
  const directory = await newDirectory()
  await using connector = await start({ issuer: absent }, directory)
  const { status, text } = await readiness(connector)
  expect(status).toBe(503)
  expect(text).toMatch(new RegExp(`^\\[-\\]issuer/${url} failed: cannot read ${url}/.*ECONNREFUSED`, 'm'))
  expect(connector.log()).toContain('issuer.readiness')

  const provider = await startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate }, port })
  try {
    await connector.ready(20_000)
    const [kubeconfig, cacheDirectory] = [join(directory, 'ana.yaml'), join(directory, 'ana')]
    await logIn(connector, provider, people.ana, cacheDirectory)
    await setKubeconfig(connector, { prefix: 'ana', kubeconfig, cacheDirectory })
    const ana = { kubectl: controlPlane.kubectl, kubeconfig, env: { HOME: directory } }
    expect(await runKubectl(ana, ['get', 'pods'])).toMatchObject({ code: 0 })
    expect(await connector.stop()).toBe(0)
  } finally {
    await provider.stop()
  }
})
