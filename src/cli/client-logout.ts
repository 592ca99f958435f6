import { openBrowser } from '../client/browser.ts'
import { findLogin, listLogins, loginFiles, readLogin, type CachedLogin } from '../client/login-cache.ts'
import { logout } from '../client/logout.ts'
import type { TokenRequest } from '../client/token.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { printLine, printNotice } from './terminal.ts'

export interface LogoutFlags extends LoginFlags {
  readonly all?: true
  readonly endSession?: true
  readonly browser: boolean
}

/**
 * Ends all logins at a portal, or the one with the named issuer, or all there are, and what was opened with them. What goes
 * on for a while is told on stderr. Where asked to, the person's session at each issuer ends too, in their browser.
 */
export async function runLogout(flags: LogoutFlags): Promise<ExitCode> {
  const logins = loginsOf(toTokenRequest(flags), flags.all === true)
  const pages = new Set<string>()
  for (const cached of logins) {
    const { notice, endSessionURL } = await logout(cached)
    if (notice !== '') printNotice(notice)
    if (flags.endSession !== true) continue
    if (endSessionURL === '') printNotice(`${cached.login.issuer} offers no page to sign out; use its own web page`)
    else pages.add(endSessionURL)
  }
  for (const portal of new Set(logins.map(({ login }) => login.portal))) printLine(`You are signed out of ${portal}.`)
  if (logins.length === 0) printNotice('There is no login to forget.')
  for (const page of pages) await show(page, flags.browser)
  return EXIT.ok
}

function loginsOf(request: TokenRequest, all: boolean): readonly CachedLogin[] {
  const isMeant = ({ login }: CachedLogin): boolean => request.issuer === undefined || request.issuer === login.issuer
  if (all)
    return loginFiles(request.cacheDirectory)
      .map(readLogin)
      .filter((cached) => cached !== null)
      .filter(isMeant)
  const { portal } = findLogin(request.cacheDirectory, request).login
  return listLogins(request.cacheDirectory, portal).filter(isMeant)
}

async function show(page: string, browser: boolean): Promise<void> {
  printNotice(`Sign out at: ${page}`)
  const failure = browser ? await openBrowser(page, process.platform) : ''
  if (failure !== '') printNotice(`No browser could be opened (${failure}); open the address yourself.`)
}
