import { once } from 'node:events'
import { type Server, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openSockets } from '../../src/app/sockets.ts'
import type { SocketConfig } from '../../src/config/connector-config.ts'
import { Secret } from '../../src/document/secret.ts'

const CLUSTERS = ['a', 'b', 'c', 'd']
const KEYS = { accessKeyID: { value: new Secret('AKIASTAGED') }, secretAccessKey: { value: new Secret('staged') } }
const NO_EVENTS = { onReloaded: () => undefined, onRefused: () => undefined, onMended: () => undefined }

/** An AWS that answers when it is told to. */
let aws: Server
let held: ServerResponse[]
let connections: Set<Socket>

beforeEach(async () => {
  held = []
  connections = new Set()
  aws = createServer((_request, response) => held.push(response))
  aws.on('connection', (connection: Socket) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  await once(aws.listen(0, '127.0.0.1'), 'listening')
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(aws.address() as AddressInfo).port}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  aws.closeAllConnections()
  aws.close()
  await once(aws, 'close')
})

function socket(name: string, upstream: SocketConfig['upstream']): SocketConfig {
  return { name, hosts: [], upstream, forwardAs: 'connector', recording: { sessions: 'off', input: false } }
}

function eksSocket(cluster: string): SocketConfig {
  const credentials = { kind: 'keys', ...KEYS, sessionToken: undefined } as const
  return socket(cluster, { kind: 'eks', cluster, region: 'eu-west-1', fips: false, credentials, assumeRole: undefined })
}

describe('sockets', () => {
  it('are opened at once, and stand in the order of the document', async () => {
    await using owned = new AsyncDisposableStack()
    const opening = openSockets(CLUSTERS.map(eksSocket), owned, () => NO_EVENTS)
    // AWS answers nobody before it was asked for all of them.
    await expect.poll(() => held.length).toBe(CLUSTERS.length)
    for (const response of held) response.writeHead(400).end('{}')
    expect((await opening).map(({ name }) => name)).toEqual(CLUSTERS)
  })

  it('are closed with their owner when one of them cannot be opened', async () => {
    const owned = new AsyncDisposableStack()
    const configs = [
      eksSocket('a'),
      socket('bad', { kind: 'kubeconfig', path: ['/nowhere/config'], context: undefined }),
    ]
    await expect(openSockets(configs, owned, () => NO_EVENTS)).rejects.toThrow('/nowhere/config')
    expect(connections.size).toBe(1)
    await owned.disposeAsync()
    await expect.poll(() => connections.size).toBe(0)
  })
})
