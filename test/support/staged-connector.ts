import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { spawnPostern } from '../../sandbox/postern.ts'
import {
  type StagedGateway,
  type StagedGatewayOptions,
  type StagedSurroundings,
  createOpener,
  stageSurroundings,
} from './staged-gateway.ts'

export interface StagedConnectorOptions extends StagedGatewayOptions {
  /** A command that the connector's argv is put behind, and that becomes it. */
  readonly wrapper?: readonly string[]
}

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
  let said = ''
  let child = await start()
  const { open, agent } = createOpener(surroundings)
  return {
    ...surroundings,
    get pid() {
      return child.pid ?? 0
    },
    log: () => said,
    open,
    kill: () => end('SIGKILL'),
    async restart() {
      child = await start()
    },
    async stop() {
      agent.destroy()
      await end('SIGTERM')
      await surroundings.stop()
    },
  }

  async function start(): Promise<ChildProcess> {
    const begun = said.length
    const argv = ['connector', 'start', '--config', surroundings.document]
    const started = spawnPostern(argv, { wrapper: options.wrapper ?? [] })
    await new Promise<void>((resolve, reject) => {
      started.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('connector.started', begun)) resolve()
      })
      started.once('exit', () => {
        reject(new Error(said.slice(begun)))
      })
    })
    return started
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill(signal)
    await closed
  }
}
