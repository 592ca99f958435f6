import { once } from 'node:events'
import { destination, pino, stdTimeFunctions } from 'pino'
import { createApp } from '../app.ts'
import { loadConnectorConfig } from '../config/load-connector-config.ts'
import { DocumentError } from '../document/document.ts'
import { EndpointError } from '../upstream/endpoint-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { releaseStartupMemory } from './startup-memory.ts'
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
  // The trail goes there, where the document says so: without it nothing may happen any more.
  process.stdout.on('error', (error: Error) => {
    log.fatal({ error: error.message }, 'stdout.failed')
    process.exit(EXIT.failure)
  })
  const signal = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  try {
    const app = await createApp(await loadConnectorConfig(path), { log })
    const addresses = await app.start()
    log.info({ version: ownVersion(), ...addresses }, 'connector.started')
    releaseStartupMemory()
    await signal
    const endAtOnce = (): never => process.exit(EXIT.failure)
    process.on('SIGINT', endAtOnce).on('SIGTERM', endAtOnce)
    log.info('connector.stopping')
    await app.stop()
    log.info('connector.stopped')
    process.off('SIGINT', endAtOnce).off('SIGTERM', endAtOnce)
    return EXIT.ok
  } catch (error) {
    if (error instanceof DocumentError || error instanceof EndpointError) {
      for (const line of error.message.split('\n')) printError(line)
      return EXIT.configuration
    }
    throw error instanceof Error ? (whyNotListening(error) ?? error) : error
  }
}

/** The sentence for an address that cannot be had; null for other errors. */
function whyNotListening(
  error: NodeJS.ErrnoException & { readonly address?: string; readonly port?: number },
): Error | null {
  if (error.syscall !== 'listen') return null
  const why = error.code === 'EADDRINUSE' ? 'another program listens there' : (error.code ?? error.message)
  const where = `${error.address ?? ''}:${error.port ?? ''}`
  return new Error(`cannot listen on ${where}: ${why}; change listen in the document`, { cause: error })
}
