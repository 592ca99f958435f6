import { findLogin, listLogins } from '../client/login-cache.ts'
import { logout } from '../client/logout.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { printLine, printNotice } from './terminal.ts'

/** Forgets all logins at a portal, or the one with the named issuer. What an issuer still honours goes to stderr. */
export async function runLogout(flags: LoginFlags): Promise<ExitCode> {
  const request = toTokenRequest(flags)
  const { portal } = findLogin(request.cacheDirectory, request).login
  for (const cached of listLogins(request.cacheDirectory, portal)) {
    if (request.issuer !== undefined && request.issuer !== cached.login.issuer) continue
    const rest = await logout(cached)
    if (rest !== '') printNotice(rest)
  }
  printLine(`You are signed out of ${portal}.`)
  return EXIT.ok
}
