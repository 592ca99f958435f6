import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
import { freePorts } from '../../sandbox/free-ports.ts'
import { spawnPostern } from '../../sandbox/postern.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import { stageSurroundings } from '../support/staged-gateway.ts'
import { answerLoad, renderFigures, startLoad } from '../support/steady-load.ts'

const SOON = { timeout: 20_000 }
const TEST_TIMEOUT_MS = 90_000
/** Less than the connectors' shutdown delay. */
const ASKED_EVERY_MS = 100
const PORTS = 3

/** A connector that can be restarted. */
interface Replica {
  readonly port: number
  readonly opsPort: number
  process: ChildProcess
  log: string
}

it(
  'of two connectors behind a balancer fails no request of 100 a second, and 50 watches and 10 sessions come back',
  async ({ annotate }) => {
    const limits = { shutdownDelay: '1s', drainTimeout: '4s' }
    const surroundings = await stageSurroundings({ limits })
    onTestFinished(() => surroundings.stop())
    const { apiServer, token, certificateAuthority } = surroundings
    onTestFinished(answerLoad(apiServer))
    const replicas = await Promise.all([startReplica(surroundings, 'a'), startReplica(surroundings, 'b')])
    onTestFinished(() => {
      for (const replica of replicas) replica.process.kill('SIGKILL')
    })
    const balancer = await startBalancer(replicas)
    onTestFinished(() => {
      balancer.stop()
    })
    await expect.poll(() => balancer.ready(), SOON).toBe(2)
    const load = startLoad({
      ...{ port: balancer.port, token, certificateAuthority, sockets: ['production'] },
      ...{ requestsPerSecond: 100, watches: 50, sessions: 10 },
    })
    onTestFinished(() => load.stop())
    await load.steady
    for (const replica of replicas) {
      const closed = once(replica.process, 'close')
      replica.process.kill('SIGTERM')
      expect(await closed).toEqual([0, null])
      replica.process = await run(replica, documentOf(surroundings, replica === replicas[0] ? 'a' : 'b'))
      await expect.poll(() => balancer.ready(), SOON).toBe(2)
    }
    const { watches, sessions } = load.figures
    expect(watches.brokenOff).toEqual([])
    await expect.poll(() => watches.opened - watches.endedCleanly, SOON).toBe(50)
    await expect.poll(() => sessions.opened - sessions.endings.length, SOON).toBe(10)
    await load.stop()
    await annotate(renderFigures(load.figures))

    expect(load.figures.failures).toEqual([])
    expect(watches.endedCleanly).toBeGreaterThanOrEqual(50)
    expect(sessions.endings.length).toBeGreaterThanOrEqual(10)
    expect(new Set(sessions.endings.map((ending) => ending.replace(/ \(.*$/, '')))).toEqual(
      new Set(['the connector stops; run the command again to go on']),
    )
    expect(sessions.lost).toBe(0)
  },
  TEST_TIMEOUT_MS,
)

type Surroundings = Awaited<ReturnType<typeof stageSurroundings>>

function documentOf({ directory }: Surroundings, name: string): string {
  return join(directory, `${name}.yaml`)
}

async function startReplica(surroundings: Surroundings, name: string): Promise<Replica> {
  const document = parse(await readFile(surroundings.document, 'utf8')) as ConnectorInput
  const [port = 0, portalPort = 0, opsPort = 0] = await freePorts(PORTS)
  const { kubernetes, portal } = document.listen
  const own: ConnectorInput = {
    ...document,
    listen: {
      kubernetes: { ...kubernetes, address: `127.0.0.1:${port}` },
      portal: { ...portal, address: `127.0.0.1:${portalPort}` },
      ops: { address: `127.0.0.1:${opsPort}` },
    },
    audit: { trail: { directory: `audit-${name}` } },
  }
  await writeFile(documentOf(surroundings, name), stringify(own))
  const replica = { port, opsPort, log: '' }
  return Object.assign(replica, { process: await run(replica, documentOf(surroundings, name)) })
}

/** Starts the process; resolves when it listens. */
async function run(replica: Pick<Replica, 'log'>, document: string): Promise<ChildProcess> {
  const child = spawnPostern(['connector', 'start', '--config', document])
  const begun = replica.log.length
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      replica.log += text
      if (replica.log.includes('connector.started', begun)) resolve()
    })
    child.once('exit', () => {
      reject(new Error(replica.log.slice(begun)))
    })
  })
  return child
}

/** Hands each connection to the next replica that is ready, as a Service or a TCP load balancer does. */
async function startBalancer(
  replicas: readonly Replica[],
): Promise<{ readonly port: number; ready(): number; stop(): void }> {
  let ready: readonly Replica[] = []
  let next = 0
  const open = new Set<Socket>()
  const ask = async (): Promise<void> => {
    const answers = await Promise.all(
      replicas.map(({ opsPort }) =>
        fetch(`http://127.0.0.1:${opsPort}/readyz`).then(
          ({ status }) => status === 200,
          () => false,
        ),
      ),
    )
    ready = replicas.filter((_, index) => answers[index] === true)
  }
  let asking = false
  const timer = setInterval(() => {
    if (asking) return
    asking = true
    void ask().finally(() => (asking = false))
  }, ASKED_EVERY_MS)
  const relay = (client: Socket, upstream: Socket): void => {
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from)
      from.on('close', () => {
        open.delete(from)
        to.destroySoon()
      })
      from.pipe(to)
    }
  }
  /** Nothing was read of the client yet, so that the next replica can be tried. */
  const hand = (client: Socket, tried: number): void => {
    const replica = ready[next++ % Math.max(ready.length, 1)]
    if (replica === undefined || tried === replicas.length) {
      client.destroy()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: replica.port, noDelay: true })
    const refused = (): void => {
      hand(client, tried + 1)
    }
    upstream.once('error', refused)
    upstream.once('connect', () => {
      upstream.off('error', refused)
      upstream.on('error', () => client.destroy())
      relay(client, upstream)
    })
  }
  const server = createServer({ pauseOnConnect: true }, (client) => {
    client.on('error', () => client.destroy())
    hand(client, 0)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    ready: () => ready.length,
    stop() {
      clearInterval(timer)
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
