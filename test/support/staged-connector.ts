import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { freePorts } from '../../sandbox/free-ports.ts'
import { type PosternOptions, spawnPostern } from '../../sandbox/postern.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import {
  type StagedGateway,
  type StagedGatewayOptions,
  type StagedSurroundings,
  createOpener,
  stageSurroundings,
} from './staged-gateway.ts'

export interface StagedConnectorOptions extends StagedGatewayOptions, Pick<PosternOptions, 'wrapper' | 'built'> {}

/** A connector as a process of its own, so that what it costs can be told from what the test costs. */
export interface ConnectorProcess extends Omit<StagedSurroundings, 'stop'> {
  readonly pid: number
  /** What it logged so far, restarts included. */
  readonly log: () => string
  readonly open: StagedGateway['open']
  /** Ends it as a crash does. */
  kill(): Promise<void>
  /** Starts it again, after {@link kill}. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts `postern connector start` between a staged issuer and a staged API server. The caller stops it. */
export async function startStagedConnector(options: StagedConnectorOptions = {}): Promise<ConnectorProcess> {
  const surroundings = await stageSurroundings(options)
  let saidBefore = ''
  let running = await runConnector(surroundings.document, options)
  const { open, agent } = createOpener(surroundings)
  return {
    ...surroundings,
    get pid() {
      return running.pid
    },
    log: () => saidBefore + running.log(),
    open,
    async kill() {
      await running.end('SIGKILL')
    },
    async restart() {
      saidBefore += running.log()
      running = await runConnector(surroundings.document, options)
    },
    async stop() {
      agent.destroy()
      await running.end('SIGTERM')
      await surroundings.stop()
    },
  }
}

/** One of several connectors of the same surroundings. */
export interface StagedReplica {
  readonly port: number
  readonly portalPort: number
  readonly opsPort: number
  readonly pid: number
  log(): string
  /** Resolves to the exit code when the process is gone; null when a signal ended it. May be called again. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts one more connector, on ports and with an audit trail of its own. The caller ends it. */
export async function startReplica(
  { directory, document }: StagedSurroundings,
  name: string,
  options: Pick<PosternOptions, 'built'> = {},
): Promise<StagedReplica> {
  const staged = parse(await readFile(document, 'utf8')) as ConnectorInput
  const [port = 0, portalPort = 0, opsPort = 0] = await freePorts(3)
  const { kubernetes, portal } = staged.listen
  const own: ConnectorInput = {
    ...staged,
    listen: {
      kubernetes: { ...kubernetes, address: `127.0.0.1:${port}` },
      portal: { ...portal, address: `127.0.0.1:${portalPort}` },
      ops: { address: `127.0.0.1:${opsPort}` },
    },
    audit: { trail: { directory: `audit-${name}` } },
  }
  const path = join(directory, `${name}.yaml`)
  await writeFile(path, stringify(own))
  return { port, portalPort, opsPort, ...(await runConnector(path, options)) }
}

/** Starts the process; resolves when it listens, and rejects with what it said when it ends before. */
async function runConnector(
  document: string,
  options: PosternOptions,
): Promise<Pick<StagedReplica, 'pid' | 'log' | 'end'>> {
  const child = spawnPostern(['connector', 'start', '--config', document], options)
  const closed = once(child, 'close').then(([code]) => code as number | null)
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout?.resume()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('connector.started')) resolve()
    })
    void closed.then(() => {
      reject(new Error(said))
    }, reject)
  })
  return {
    pid: child.pid ?? 0,
    log: () => said,
    end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return closed
    },
  }
}
