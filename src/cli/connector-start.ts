import { once } from 'node:events'
import { destination, pino, stdTimeFunctions } from 'pino'
import { createApp } from '../app.ts'
import { loadConnectorConfig } from '../config/load-connector-config.ts'
import { DocumentError } from '../document/document.ts'
import { EndpointError } from '../upstream/endpoint-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { printError } from './terminal.ts'
import { ownVersion } from './version.ts'

export interface ConnectorStartFlags {
  readonly config: string
  readonly logLevel: string
}

const STDERR = 2

/** Runs a connector until SIGINT or SIGTERM, then ends gracefully; a second signal ends at once. Logs JSON lines to stderr. */
export async function runConnectorStart({ config: path, logLevel }: ConnectorStartFlags): Promise<ExitCode> {
  const log = pino({ level: logLevel, base: null, timestamp: stdTimeFunctions.isoTime }, destination(STDERR))
  const signal = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  try {
    const app = await createApp(await loadConnectorConfig(path), { log })
    const addresses = await app.start()
    log.info({ version: ownVersion(), ...addresses }, 'connector.started')
    await signal
    const endAtOnce = (): never => process.exit(EXIT.failure)
    process.on('SIGINT', endAtOnce).on('SIGTERM', endAtOnce)
    log.info('connector.stopping')
    await app.stop()
    log.info('connector.stopped')
    process.off('SIGINT', endAtOnce).off('SIGTERM', endAtOnce)
    return EXIT.ok
  } catch (error) {
    const lines = linesOf(error)
    if (lines === null) throw error
    for (const line of lines) printError(line)
    return EXIT.configuration
  }
}

/** What is wrong with a document or with what it names; null for other errors. */
function linesOf(error: unknown): readonly string[] | null {
  if (error instanceof DocumentError) return error.message.split('\n')
  return error instanceof EndpointError ? error.problems : null
}
