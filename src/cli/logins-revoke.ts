import { ClientError } from '../client/client-error.ts'
import { CURRENT_LOGIN, loginsOf, type PortalLogin } from '../client/portal-logins.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { confirm } from './confirm.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { chooseById } from './id-choice.ts'
import { reportError } from './report-error.ts'
import { printable, printLine, printNotice } from './terminal.ts'

export interface LoginsRevokeFlags extends LoginFlags {
  readonly user?: string
  readonly reason?: string
  readonly yes?: true
}

/**
 * Revokes the logins that are named, and with `--user` all of that person that are not revoked. All are found before the
 * first is revoked; one that cannot be revoked does not keep the others from it. On a terminal it asks before it revokes
 * what is not the person's own. The login that it asks with comes last.
 *
 * @throws ClientError `BadArgument` when nothing is named, or nothing is called so.
 */
export async function runLoginsRevoke(beginnings: readonly string[], flags: LoginsRevokeFlags): Promise<ExitCode> {
  if (beginnings.length === 0 && flags.user === undefined)
    throw new ClientError('BadArgument', 'name logins, or a person with --user; postern logins list tells them')
  const { listLogins, revokeLogin, whoAmI } = await connectSignedIn(toTokenRequest(flags))
  const chosen = choose(await listLogins(), beginnings, flags.user)
  if (flags.yes !== true && process.stdin.isTTY && process.stderr.isTTY) {
    const { username } = await whoAmI()
    const others = [...chosen].filter(([, login]) => login?.spec.username !== username)
    if (others.length > 0 && !(await confirmed(others))) {
      printNotice('Nothing was revoked.')
      return EXIT.failure
    }
  }
  let exitCode: ExitCode = EXIT.ok
  for (const [id] of [...chosen].toSorted(([, a], [, b]) => Number(isCurrent(a)) - Number(isCurrent(b)))) {
    try {
      await revokeLogin(id, flags.reason ?? '')
      printLine(`login ${id} is revoked`)
    } catch (error) {
      exitCode = reportError(error)
    }
  }
  return exitCode
}

function choose(
  all: readonly PortalLogin[],
  beginnings: readonly string[],
  username: string | undefined,
): ReadonlyMap<string, PortalLogin | null> {
  const named = beginnings.map((beginning): [string, PortalLogin | null] => {
    const current = beginning === CURRENT_LOGIN ? all.find(isCurrent) : undefined
    if (current !== undefined) return [current.metadata.name, current]
    const { id, found } = chooseById(all, beginning, 'login')
    return [id, found]
  })
  const theirs = username === undefined ? [] : loginsOf(all, username)
  const standing = theirs.filter(({ status }) => status.state !== 'revoked')
  if (username !== undefined && standing.length === 0)
    throw new ClientError('BadArgument', `you see no login of ${JSON.stringify(username)} that is not revoked`)
  return new Map([...named, ...standing.map((login): [string, PortalLogin] => [login.metadata.name, login])])
}

function isCurrent(login: PortalLogin | null): boolean {
  return login?.status.current === true
}

async function confirmed(logins: readonly (readonly [string, PortalLogin | null])[]): Promise<boolean> {
  for (const [id, login] of logins) printNotice(`${id}: ${login === null ? 'unknown' : describe(login)}`)
  const what = logins.length === 1 ? 'this login, which is' : `these ${logins.length} logins, which are`
  return confirm(`Revoke ${what} not yours?`)
}

function describe({ spec, status }: PortalLogin): string {
  const { sourceIP = 'nowhere' } = status.places[0] ?? {}
  const seen = renderHumanDuration(Date.now() - Date.parse(status.lastSeenTime))
  return printable(`of ${spec.username}, ${status.state}, last seen ${seen} ago from ${sourceIP}`)
}
