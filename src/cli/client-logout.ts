import { findLogin } from '../client/login-cache.ts'
import { logout } from '../client/logout.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { printLine, printNotice } from './terminal.ts'

/** Forgets a login. What the issuer still honours goes to stderr. */
export async function runLogout(flags: LoginFlags): Promise<ExitCode> {
  const request = toTokenRequest(flags)
  const cached = findLogin(request.cacheDirectory, request)
  const rest = await logout(cached)
  if (rest !== '') printNotice(rest)
  printLine(`You are signed out of ${cached.login.portal}.`)
  return EXIT.ok
}
