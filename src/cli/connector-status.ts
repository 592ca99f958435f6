import { ClientError } from '../client/client-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { Systemd } from './systemd.ts'
import { UNIT } from './systemd-unit.ts'
import { printJSON, printLine } from './terminal.ts'

export interface ConnectorStatusFlags extends OutputFlags {
  /** Origin of the ops listener. */
  readonly ops: string
}

const REQUEST_TIMEOUT_MS = 5_000
const MAX_READINESS_CHARACTERS = 64 * 1024

/** What systemd says of the service, by the names of its properties. */
const PROPERTIES = {
  LoadState: 'loaded',
  UnitFileState: 'enabled',
  ActiveState: 'active',
  SubState: 'state',
  MainPID: 'pid',
  ActiveEnterTimestamp: 'since',
  NRestarts: 'restarts',
  ExecMainStatus: 'exitCode',
} as const

/**
 * Prints how the service is: what systemd says, and what the connector itself says of its readiness.
 *
 * @throws ClientError when there is no systemd, or no such service.
 */
export async function runConnectorStatus({ ops, output }: ConnectorStatusFlags): Promise<ExitCode> {
  const systemd = await Systemd.open('/')
  const shown = await systemd.control('show', UNIT, `--property=${Object.keys(PROPERTIES).join(',')}`)
  const service = parseProperties(shown)
  if (service['loaded'] !== 'loaded')
    throw new ClientError('Unexpected', `${UNIT} is not installed; run: postern connector install --config FILE`)
  const { ready, checks } = await readiness(ops)
  if (output === 'json') {
    printJSON({ ...service, ready, checks })
  } else {
    for (const [name, value] of Object.entries(service)) printLine(`${name}:`.padEnd(10) + value)
    printLine('ready:'.padEnd(10) + (ready ? 'yes' : 'no'))
    for (const check of checks) printLine(`  ${check}`)
  }
  return service['active'] === 'active' && ready ? EXIT.ok : EXIT.failure
}

/** Lines `Name=value` by our own names. */
export function parseProperties(text: string): Readonly<Record<string, string>> {
  const found = new Map(
    text.split('\n').map((line) => {
      const end = line.indexOf('=')
      return [line.slice(0, end), line.slice(end + 1)] as const
    }),
  )
  return Object.fromEntries(Object.entries(PROPERTIES).map(([property, name]) => [name, found.get(property) ?? '']))
}

async function readiness(ops: string): Promise<{ readonly ready: boolean; readonly checks: readonly string[] }> {
  try {
    const response = await fetch(`${ops}/readyz?verbose`, {
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
    const text = (await response.text()).slice(0, MAX_READINESS_CHARACTERS)
    return { ready: response.ok, checks: text.split('\n').filter((line) => /^\[[+-]\]/.test(line)) }
  } catch {
    return { ready: false, checks: [`nothing answers at ${ops}; name the ops listener with --ops`] }
  }
}
