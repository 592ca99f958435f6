import { loginStatuses, type LoginStatus } from '../client/login-status.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printLine, printNotice, printTable } from './terminal.ts'

/** Prints all logins, and what is wrong with them, without asking anybody. Fails when none of them can be used. */
export function runStatus(flags: LoginFlags & OutputFlags): ExitCode {
  const { cacheDirectory, portal, issuer } = toTokenRequest(flags)
  const nowMs = Date.now()
  const { logins: all, unusable } = loginStatuses(cacheDirectory, nowMs)
  const logins = all.filter(
    (login) => (portal === undefined || login.portal === portal) && (issuer === undefined || login.issuer === issuer),
  )
  if (flags.output === 'json') {
    printJSON({ cacheDirectory, logins, unusable })
  } else {
    if (logins.length > 0)
      printTable(
        ['PORTAL', 'ISSUER', 'STATE', 'TOKEN'],
        logins.map((login) => [login.portal, login.issuer, login.state, tokenOf(login, nowMs)]),
      )
    printLine(`logins are kept in ${cacheDirectory}`)
    for (const { portal: at, problem } of logins) if (problem !== '') printNotice(`${at}: ${problem}`)
    for (const { file, problem } of unusable) printNotice(problem.includes(file) ? problem : `${file}: ${problem}`)
    if (logins.length === 0) printNotice('You are not signed in; run: postern client login --portal https://HOST')
  }
  return logins.some(({ state }) => state !== 'ended') ? EXIT.ok : EXIT.failure
}

function tokenOf({ expiresAt }: LoginStatus, nowMs: number): string {
  const seconds = Math.round((Date.parse(expiresAt) - nowMs) / 1000)
  return seconds > 0 ? `ends in ${span(seconds)}` : `ended ${span(-seconds)} ago`
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
