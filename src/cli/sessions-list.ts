import type { LiveSession } from '../client/portal.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { shortIdLength } from './short-id.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export interface SessionsListFlags extends LoginFlags, OutputFlags {
  readonly user?: string
  readonly socket?: string
  readonly namespace?: string
}

const MAX_COMMAND_LENGTH = 60

/** Prints the sessions that the person may see; as JSON, the portal's own list. */
export async function runSessionsList(flags: SessionsListFlags): Promise<ExitCode> {
  const { login, listSessions } = await connectSignedIn(toTokenRequest(flags))
  const list = await listSessions()
  const sessions = list.items.filter((session) => matches(session, flags))
  if (flags.output === 'json') printJSON({ ...list, items: sessions })
  else if (sessions.length === 0) printNotice(`You see no such session at ${login.portal}.`)
  else {
    const length = shortIdLength(list.items.map(({ metadata }) => metadata.name))
    printTable(
      ['ID', 'KIND', 'USER', 'SOCKET', 'POD', 'AGE', 'IDLE', 'RECORDED', 'COMMAND'],
      sessions.map((session) => toRow(session, length, Date.now())),
    )
  }
  return EXIT.ok
}

function toRow({ metadata, spec, status }: LiveSession, idLength: number, atMs: number): readonly string[] {
  const command = spec.command.join(' ')
  return [
    metadata.name.slice(0, idLength),
    spec.kind,
    spec.username,
    spec.socket,
    `${spec.namespace}/${spec.pod}`,
    renderHumanDuration(atMs - spec.startedAtMs),
    renderHumanDuration(atMs - Date.parse(status.lastActivityTime)),
    status.recording ? 'yes' : 'no',
    command.length > MAX_COMMAND_LENGTH ? `${command.slice(0, MAX_COMMAND_LENGTH)}…` : command,
  ]
}

function matches({ spec }: LiveSession, { user, socket, namespace }: SessionsListFlags): boolean {
  return (
    (user === undefined || spec.username === user || spec.impersonatedUsername === user) &&
    (socket === undefined || spec.socket === socket) &&
    (namespace === undefined || spec.namespace === namespace)
  )
}
