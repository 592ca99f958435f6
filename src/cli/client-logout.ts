import { dirname } from 'node:path'
import { openBrowser } from '../client/browser.ts'
import { ClientError } from '../client/client-error.ts'
import {
  listLogins,
  loginFiles,
  noLogin,
  onlyPortal,
  readLogins,
  type CachedLogin,
  type ReadLogins,
  type UnusableFile,
} from '../client/login-cache.ts'
import { logout } from '../client/logout.ts'
import type { TokenRequest } from '../client/token.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { printError, printLine, printNotice } from './terminal.ts'

export interface LogoutFlags extends LoginFlags {
  readonly all?: true
  readonly endSession?: true
  readonly browser: boolean
}

/**
 * Ends all logins at a portal, or the one with the named issuer, or all there are, and what was opened with them. What goes
 * on for a while is told on stderr. Where asked to, the person's session at each issuer ends too, in their browser.
 *
 * One that cannot be ended does not keep the others from it: it is told of when they are, and fails the command.
 */
export async function runLogout(flags: LogoutFlags): Promise<ExitCode> {
  const request = toTokenRequest(flags)
  const { logins, unusable } = meant(request, flags.all === true)
  const pages = new Set<string>()
  const ended: CachedLogin[] = []
  const left = [...unusable]
  for (const cached of logins) {
    try {
      const { notice, endSessionURL } = await logout(cached)
      ended.push(cached)
      if (notice !== '') printNotice(notice)
      if (flags.endSession !== true) continue
      if (endSessionURL === '') printNotice(`${cached.login.issuer} offers no page to sign out; use its own web page`)
      else pages.add(endSessionURL)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      left.push({ path: cached.path, error })
    }
  }
  for (const line of new Set(ended.map((cached) => outcomeOf(cached, left)))) printLine(line)
  if (logins.length === 0 && left.length === 0) printNotice('There is no login to forget.')
  for (const page of pages) await show(page, flags.browser)
  for (const { error } of left) printError(error.message)
  return left.length === 0 ? EXIT.ok : EXIT.failure
}

function meant(request: TokenRequest, all: boolean): ReadLogins {
  const { cacheDirectory, issuer } = request
  const portal = all ? null : (request.portal ?? onlyPortal(cacheDirectory))
  const found = portal === null ? readLogins(loginFiles(cacheDirectory)) : listLogins(cacheDirectory, portal)
  const logins = found.logins.filter(({ login }) => issuer === undefined || login.issuer === issuer)
  // Where the login with the issuer that is named was found, another file is none of that issuer.
  const unusable = found.unusable.filter((file) => issuer === undefined || !isBeside(file, logins))
  if (portal !== null && logins.length === 0 && unusable.length === 0) throw noLogin(portal, issuer)
  return { logins, unusable }
}

/** Names the issuer too where not all logins at the portal have ended. */
function outcomeOf({ path, login: { portal, issuer } }: CachedLogin, left: readonly UnusableFile[]): string {
  return isBeside({ path }, left)
    ? `You are signed out of ${portal} with ${issuer}.`
    : `You are signed out of ${portal}.`
}

/** Whether one of the others is of the same portal. */
function isBeside({ path }: { readonly path: string }, others: readonly { readonly path: string }[]): boolean {
  return others.some((other) => dirname(other.path) === dirname(path))
}

async function show(page: string, browser: boolean): Promise<void> {
  printNotice(`Sign out at: ${page}`)
  const failure = browser ? await openBrowser(page, process.platform) : ''
  if (failure !== '') printNotice(`No browser could be opened (${failure}); open the address yourself.`)
}
