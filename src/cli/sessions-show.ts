import type { LiveSession } from '../client/portal.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { chooseSession } from './session-choice.ts'
import { printJSON, printLine } from './terminal.ts'

export type SessionsShowFlags = LoginFlags & OutputFlags

/** Prints what is known of one session; as JSON, the portal's own object. */
export async function runSessionsShow(beginning: string, flags: SessionsShowFlags): Promise<ExitCode> {
  const { listSessions, getSession } = await connectSignedIn(toTokenRequest(flags))
  const { id } = chooseSession((await listSessions()).items, beginning)
  const session = await getSession(id)
  if (flags.output === 'json') printJSON(session)
  else {
    const facts = factsOf(session, Date.now()).filter(([, value]) => value !== '')
    const width = Math.max(...facts.map(([label]) => label.length))
    for (const [label, value] of facts) printLine(`${`${label}:`.padEnd(width + 2)}${value}`)
  }
  return EXIT.ok
}

function factsOf({ metadata, spec, status }: LiveSession, atMs: number): readonly (readonly [string, string])[] {
  const container = spec.container === '' ? '' : `, container ${spec.container}`
  const ago = (thenMs: number): string => `${renderHumanDuration(atMs - thenMs)} ago`
  return [
    ['session', metadata.name],
    ['user', spec.impersonatedUsername === '' ? spec.username : `${spec.username} as ${spec.impersonatedUsername}`],
    ['groups', spec.groups.join(', ')],
    ['from', spec.sourceIP],
    ['socket', spec.socket],
    ['pod', `${spec.namespace}/${spec.pod}${container}`],
    ['kind', `${spec.kind}${spec.tty ? ' with a terminal' : ''}`],
    ['command', spec.command.join(' ')],
    ['began', `${new Date(spec.startedAtMs).toISOString()} (${ago(spec.startedAtMs)})`],
    ['active', ago(Date.parse(status.lastActivityTime))],
    ['sent', `${status.sentBytes} bytes`],
    ['received', `${status.receivedBytes} bytes`],
    ['recorded', status.recording ? 'yes' : 'no'],
    ['rule', spec.rule],
    ['audit id', spec.auditId],
  ]
}
