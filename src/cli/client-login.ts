import { readFileSync } from 'node:fs'
import { openBrowser } from '../client/browser.ts'
import { ClientError } from '../client/client-error.ts'
import { DEFAULT_LOGIN_TIMEOUT_MS, type SignInPrompt } from '../client/login.ts'
import { loginAnew } from '../client/login-anew.ts'
import { findLogin } from '../client/login-cache.ts'
import type { TokenRequest } from '../client/token.ts'
import { parseDuration } from '../document/duration.ts'
import { canAsk, choose } from './choose.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printLine, printNotice } from './terminal.ts'

export interface LoginCommandFlags extends LoginFlags, OutputFlags {
  readonly certificateAuthority?: string
  readonly browser: boolean
  readonly device?: true
  readonly prompt?: 'login' | 'select_account'
  readonly timeout?: string
}

/** Signs in; what the person has to do goes to stderr, the outcome to stdout. */
export async function runLogin(flags: LoginCommandFlags): Promise<ExitCode> {
  const request = toTokenRequest(flags)
  const portal = request.portal ?? onlyPortal(request)
  const { userInfo, expiresAtMs, refreshable } = await loginAnew({
    ...request,
    portal,
    ...(flags.certificateAuthority !== undefined && {
      certificateAuthority: readAuthority(flags.certificateAuthority),
    }),
    flow: flags.device === true ? 'device' : 'browser',
    ...(flags.prompt !== undefined && { prompt: flags.prompt }),
    timeoutMs: timeoutOf(flags),
    present: (prompt) => {
      show(prompt, flags.browser)
    },
    explain: (why) => {
      printNotice(`${why}. Prove anew who you are.`)
    },
    ...(canAsk() && { chooseIssuer: askForIssuer }),
  })
  const expiresAt = new Date(expiresAtMs)
  if (flags.output === 'json') {
    printJSON({ portal, ...userInfo, expiresAt: expiresAt.toISOString(), refreshable })
  } else {
    const end = refreshable ? 'and stay so' : `until ${expiresAt.toLocaleTimeString()}`
    printLine(`You are signed in to ${portal} as ${userInfo.username}, ${end}.`)
    printLine('Next: postern client kubeconfig set')
  }
  return EXIT.ok
}

/** Of the login that is there already. */
function onlyPortal(request: TokenRequest): string {
  try {
    return findLogin(request.cacheDirectory, request).login.portal
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'NotSignedIn') throw error
    throw new ClientError('BadArgument', 'name the portal with --portal or POSTERN_PORTAL', { cause: error })
  }
}

function show(prompt: SignInPrompt, browser: boolean): void {
  if (prompt.flow === 'browser') {
    printNotice(`Sign in at: ${prompt.address}`)
    if (browser) void open(prompt.address)
    return
  }
  printNotice(`Sign in at: ${prompt.address}`)
  printNotice(`Its page shows or asks for the code: ${prompt.userCode}`)
  printNotice(`It is for the client "${prompt.clientID}" of ${prompt.issuer}; give the code to nobody.`)
}

async function open(address: string): Promise<void> {
  const failure = await openBrowser(address, process.platform)
  if (failure !== '') printNotice(`No browser could be opened (${failure}); open the address yourself.`)
}

async function askForIssuer(urls: readonly string[]): Promise<string> {
  const choices = urls.map((name) => ({ name, note: '' }))
  const [issuer = ''] = await choose('Sign in at which issuer?', choices, false)
  return issuer
}

function timeoutOf({ timeout }: LoginCommandFlags): number {
  if (timeout === undefined) return DEFAULT_LOGIN_TIMEOUT_MS
  const milliseconds = parseDuration(timeout)
  if (milliseconds === null || milliseconds <= 0 || milliseconds > LONGEST_TIMEOUT_MS)
    throw new ClientError('BadArgument', `--timeout "${timeout}" is no duration up to 1h, such as 5m`)
  return milliseconds
}

const LONGEST_TIMEOUT_MS = 3_600_000

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BadArgument', `--certificate-authority cannot be read: ${why}`, { cause: error })
  }
}
