import { once } from 'node:events'
import { spawnPostern } from '../../sandbox/postern.ts'
import type { StagedApiServer } from './staged-api-server.ts'
import { type StagedGateway, createOpener, stageSurroundings } from './staged-gateway.ts'

/** A connector as a process of its own, so that what it costs can be told from what the test costs. */
export interface ConnectorProcess {
  readonly apiServer: StagedApiServer
  readonly pid: number
  readonly open: StagedGateway['open']
  stop(): Promise<void>
}

/** Starts `postern connector start` between a staged issuer and a staged API server. The caller stops it. */
export async function startStagedConnector(): Promise<ConnectorProcess> {
  const surroundings = await stageSurroundings()
  const child = spawnPostern(['connector', 'start', '--config', surroundings.document])
  const closed = once(child, 'close')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('connector.started')) resolve()
    })
    child.once('exit', () => {
      reject(new Error(said))
    })
  })
  const { open, agent } = createOpener(surroundings)
  return {
    apiServer: surroundings.apiServer,
    pid: child.pid ?? 0,
    open,
    async stop() {
      agent.destroy()
      child.kill('SIGTERM')
      await closed
      await surroundings.stop()
    },
  }
}
