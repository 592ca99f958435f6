import { CURRENT_LOGIN, type PortalLogin } from '../client/portal-logins.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { chooseById } from './id-choice.ts'
import { printJSON, printLine } from './terminal.ts'

export type LoginsShowFlags = LoginFlags & OutputFlags

/** Prints what is known of one login; as JSON, the portal's own object. */
export async function runLoginsShow(beginning: string, flags: LoginsShowFlags): Promise<ExitCode> {
  const { listLogins, getLogin } = await connectSignedIn(toTokenRequest(flags))
  const id = beginning === CURRENT_LOGIN ? CURRENT_LOGIN : chooseById(await listLogins(), beginning, 'login').id
  const login = await getLogin(id)
  if (flags.output === 'json') printJSON(login)
  else {
    const facts = factsOf(login, Date.now()).filter(([, value]) => value !== '')
    const width = Math.max(...facts.map(([label]) => label.length))
    for (const [label, value] of facts) printLine(`${`${label}:`.padEnd(width + 2)}${value}`)
  }
  return EXIT.ok
}

function factsOf({ metadata, spec, status }: PortalLogin, atMs: number): readonly (readonly [string, string])[] {
  const at = (time: string): string => `${time} (${renderHumanDuration(atMs - Date.parse(time))} ago)`
  const { revocation } = status
  return [
    ['login', metadata.name],
    ['user', spec.username],
    ['uid', spec.uid],
    ['groups', spec.groups.join(', ')],
    ['issuer', spec.issuer],
    ['state', `${status.state}${status.current ? ', the one that you ask with' : ''}`],
    ['signed in', spec.authenticationTime === undefined ? '' : at(spec.authenticationTime)],
    ['first seen', at(metadata.creationTimestamp)],
    ['last seen', at(status.lastSeenTime)],
    ['token ends', status.expiryTime],
    ...status.places.map(
      ({ sourceIP, userAgent, lastSeenTime }) =>
        ['from', `${sourceIP} with ${userAgent || '?'}, ${at(lastSeenTime)}`] as const,
    ),
    ['revoked', revocation === undefined ? '' : `${at(revocation.time)} by ${revocation.by}`],
    ['reason', revocation?.reason ?? ''],
  ]
}
