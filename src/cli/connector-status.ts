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
 * Prints how the connector is: what it says of its readiness, and what systemd says of the service, where there is one.
 *
 * @throws ClientError when systemd cannot say.
 */
export async function runConnectorStatus({ ops, output }: ConnectorStatusFlags): Promise<ExitCode> {
  const service = (await Systemd.runsHere()) ? await askSystemd(await Systemd.open('/')) : null
  const { ready, checks, problem } = await readiness(ops)
  if (output === 'json') {
    printJSON({ service, ready, checks, problem })
  } else {
    for (const [name, value] of Object.entries(service ?? {})) printLine(`${name}:`.padEnd(10) + value)
    printLine('ready:'.padEnd(10) + (ready ? 'yes' : 'no'))
    for (const line of [...checks, problem].filter((each) => each !== '')) printLine(`  ${line}`)
  }
  return ready && (service === null || service['active'] === 'active') ? EXIT.ok : EXIT.failure
}

/** Null when it knows no such service, as where something else runs the connector. */
async function askSystemd(systemd: Systemd): Promise<Readonly<Record<string, string>> | null> {
  const shown = await systemd.control('show', UNIT, `--property=${Object.keys(PROPERTIES).join(',')}`)
  const service = parseProperties(shown)
  return service['loaded'] === 'not-found' ? null : service
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

interface Readiness {
  readonly ready: boolean
  readonly checks: readonly string[]
  /** Why the connector could not be asked; empty when it could. */
  readonly problem: string
}

async function readiness(ops: string): Promise<Readiness> {
  const unknown = (what: string): Readiness => ({
    ready: false,
    checks: [],
    problem: `${what}; name the ops listener with --ops`,
  })
  try {
    const response = await fetch(`${ops}/readyz?verbose`, {
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
    const text = (await response.text()).slice(0, MAX_READINESS_CHARACTERS)
    const checks = text.split('\n').filter((line) => /^\[[+-]\]/.test(line))
    if (checks.length === 0) return unknown(`${ops} answers ${response.status}, and no connector`)
    return { ready: response.ok, checks, problem: '' }
  } catch {
    return unknown(`nothing answers at ${ops}`)
  }
}
