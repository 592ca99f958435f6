import { loginsOf, type PortalLogin } from '../client/portal-logins.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { shortIdLength } from './short-id.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

export interface LoginsListFlags extends LoginFlags, OutputFlags {
  readonly user?: string
  readonly all?: true
}

const MAX_CLIENT_LENGTH = 40

/** Prints the logins that the person may see, newest first; of those that ended only where asked to. */
export async function runLoginsList(flags: LoginsListFlags): Promise<ExitCode> {
  const { login, listLogins } = await connectSignedIn(toTokenRequest(flags))
  const isMeant = ({ status }: PortalLogin): boolean => flags.all === true || status.state === 'active'
  const logins = loginsOf(await listLogins(), flags.user).filter(isMeant)
  if (flags.output === 'json')
    printJSON({ apiVersion: 'postern.dev/v1alpha1', kind: 'LoginList', metadata: {}, items: logins })
  else if (logins.length === 0) printNotice(`You see no such login at ${login.portal}.`)
  else {
    const length = shortIdLength(logins.map(({ metadata }) => metadata.name))
    printTable(
      ['ID', 'USER', 'STATE', 'AGE', 'SEEN', 'FROM', 'CLIENT', ''],
      logins.map((one) => toRow(one, length, Date.now())),
    )
  }
  return EXIT.ok
}

function toRow({ metadata, spec, status }: PortalLogin, idLength: number, atMs: number): readonly string[] {
  const { sourceIP = '', userAgent = '' } = status.places[0] ?? {}
  return [
    metadata.name.slice(0, idLength),
    spec.username,
    status.state,
    renderHumanDuration(atMs - Date.parse(metadata.creationTimestamp)),
    renderHumanDuration(atMs - Date.parse(status.lastSeenTime)),
    sourceIP,
    userAgent.length > MAX_CLIENT_LENGTH ? `${userAgent.slice(0, MAX_CLIENT_LENGTH)}…` : userAgent,
    status.current ? 'this one' : '',
  ]
}
