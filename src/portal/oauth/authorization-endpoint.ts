import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { ExpiringMap } from '../../identity/expiring-map.ts'
import { browserCookie, browserDigest, browserValue, newBrowserValue } from './browser-binding.ts'
import type { IssuerClient } from './issuer-client.ts'
import { isLoopbackRedirect } from './loopback-redirect.ts'
import type { LoginSeals } from './login-seals.ts'
import { OAuthError } from './oauth-error.ts'
import { queryParameters, required, type Parameters } from './parameters.ts'
import { CODE_LIFETIME_MS, LOGIN_LIFETIME_MS, type PendingLogin } from './pending-login.ts'
import { CODE_CHALLENGE } from './proof-key.ts'

const STATE = /^[\x21-\x7e]{8,512}$/
const NONCE = /^[\x21-\x7e]{8,256}$/
const ISSUERS_CODE = /^[\x20-\x7e]{1,4096}$/
/** Seconds since the person signed in at the issuer. */
const MAX_AGE = /^\d{1,9}$/
const VERIFIER_BYTES = 32

/** What a browser may be asked to do at the issuer; `none` would sign people in behind their backs. */
const PROMPTS: ReadonlySet<string> = new Set(['login', 'consent', 'select_account'])

/** Most logins that are remembered to have come back. */
const MAX_ENDED_LOGINS = 10_000

/** What a browser is answered. */
export type BrowserAnswer =
  | { readonly kind: 'redirect'; readonly location: string; readonly cookie?: string }
  | { readonly kind: 'page'; readonly statusCode: 400 | 503; readonly title: string; readonly text: string }

/** The two places that a browser comes by: on its way to the issuer, and on its way back to the command that waits. */
export class AuthorizationEndpoint {
  readonly #issuer: string
  readonly #client: IssuerClient
  readonly #redirectURI: string
  readonly #report: (error: Error) => void
  readonly #ended = new ExpiringMap<true>(MAX_ENDED_LOGINS)

  /** `redirectURI` is where the issuer sends browsers back to; `report` is told what is the operator's to mend. */
  constructor(
    client: IssuerClient,
    options: { readonly issuer: string; readonly redirectURI: string; readonly report: (error: Error) => void },
  ) {
    this.#client = client
    this.#issuer = options.issuer
    this.#redirectURI = options.redirectURI
    this.#report = options.report
  }

  /**
   * Sends a browser on to the issuer. What is wrong with the request goes back to the command; but nothing goes
   * anywhere for a request that names another client or a place that is not the person's own machine.
   *
   * @see RFC 6749 section 4.1.1, RFC 7636, RFC 8252
   */
  async authorize(request: IncomingMessage): Promise<BrowserAnswer> {
    const asked = readQuery(request)
    const redirectURI = asked?.get('redirect_uri') ?? ''
    if (asked === null || asked.get('client_id') !== this.#client.id || !isLoopbackRedirect(redirectURI))
      return NOT_A_LOGIN
    try {
      if (asked.get('response_type') !== 'code')
        throw new OAuthError('unsupported_response_type', 'only a code is given here')
      if (asked.get('code_challenge_method') !== 'S256')
        throw new OAuthError('invalid_request', 'code_challenge_method has to be S256')
      const browser = browserValue(request.headers.cookie) ?? newBrowserValue()
      const login: PendingLogin = {
        redirectURI,
        state: required(asked, 'state', STATE),
        codeChallenge: required(asked, 'code_challenge', CODE_CHALLENGE),
        nonce: required(asked, 'nonce', NONCE),
        codeVerifier: randomBytes(VERIFIER_BYTES).toString('base64url'),
        browser: browserDigest(browser),
        expiresAtMs: Date.now() + LOGIN_LIFETIME_MS,
      }
      const location = await this.#issuersAddress(login, asked)
      return { kind: 'redirect', location, cookie: browserCookie(browser) }
    } catch (error) {
      return this.#refused(error, { redirectURI, state: asked.get('state') ?? '' })
    }
  }

  /**
   * Sends a browser that comes from the issuer back to the command, with a code that only the command can trade. A login
   * comes back once, in the browser that it began in.
   *
   * @see RFC 6749 section 4.1.2, RFC 9207
   */
  async callback(request: IncomingMessage): Promise<BrowserAnswer> {
    const given = readQuery(request)
    const state = given?.get('state') ?? ''
    const seals = await this.#seals()
    if (seals === null) return NOT_NOW
    const { pending, granted } = seals
    const login = pending.open(state)
    if (given === null || login === null) return NOT_A_LOGIN
    const browser = browserValue(request.headers.cookie)
    if (browser === undefined || browserDigest(browser) !== login.browser) return ANOTHER_BROWSER
    const nowMs = Date.now()
    if (this.#ended.get(state, nowMs) === true) return NOT_A_LOGIN
    this.#ended.set(state, true, { expiresAtMs: login.expiresAtMs, nowMs })
    try {
      if (login.expiresAtMs <= nowMs)
        throw new OAuthError('access_denied', `it took longer than ${LOGIN_LIFETIME_MS / 60_000} minutes`)
      await this.#assertIssuer(given)
      const error = given.get('error')
      if (error !== undefined) throw new OAuthError(error, given.get('error_description') ?? '')
      const code = required(given, 'code', ISSUERS_CODE)
      const { redirectURI, codeChallenge, nonce, codeVerifier } = login
      const expiresAtMs = nowMs + CODE_LIFETIME_MS
      const sealed = granted.seal({ redirectURI, codeChallenge, nonce, codeVerifier, code, expiresAtMs })
      return this.#backToCommand(login, { code: sealed })
    } catch (error) {
      return this.#refused(error, login)
    }
  }

  /** Null while there is no secret, of which the operator is told. */
  async #seals(): Promise<LoginSeals | null> {
    try {
      return await this.#client.seals()
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      if (error.cause instanceof Error) this.#report(error.cause)
      return null
    }
  }

  async #issuersAddress(login: PendingLogin, asked: Parameters): Promise<string> {
    const { authorizationEndpoint } = await this.#client.metadata()
    const { pending } = await this.#client.seals()
    const { prompt: always = '', ...more } = this.#client.authorizationParameters
    const prompts = promptsOf(`${asked.get('prompt') ?? ''} ${always}`, this.#client.scopes)
    const maxAge = asked.get('max_age') ?? ''
    const address = new URL(authorizationEndpoint)
    const parameters = {
      ...more,
      client_id: this.#client.id,
      response_type: 'code',
      redirect_uri: this.#redirectURI,
      scope: this.#client.scopes.join(' '),
      state: pending.seal(login),
      nonce: login.nonce,
      code_challenge: createHash('sha256').update(login.codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...(prompts !== '' && { prompt: prompts }),
      ...(MAX_AGE.test(maxAge) && { max_age: maxAge }),
    }
    for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
    return address.href
  }

  async #assertIssuer(given: Parameters): Promise<void> {
    const named = given.get('iss')
    const { namesItself } = await this.#client.metadata()
    if (named === undefined ? namesItself : named !== this.#issuer)
      throw new OAuthError('access_denied', 'the answer came from another identity provider')
  }

  /** Errors of ours as well: the command is told, since a page in a browser helps nobody at a terminal. */
  #refused(error: unknown, login: Pick<PendingLogin, 'redirectURI' | 'state'>): BrowserAnswer {
    if (!(error instanceof OAuthError)) throw error
    if (error.cause instanceof Error) this.#report(error.cause)
    return this.#backToCommand(login, {
      error: error.error,
      ...(error.description !== '' && { error_description: error.description }),
    })
  }

  #backToCommand(
    { redirectURI, state }: Pick<PendingLogin, 'redirectURI' | 'state'>,
    parameters: Readonly<Record<string, string>>,
  ): BrowserAnswer {
    const query = new URLSearchParams({ ...parameters, state, iss: this.#issuer })
    return { kind: 'redirect', location: `${redirectURI}?${query.toString()}` }
  }
}

const NOT_A_LOGIN: BrowserAnswer = {
  kind: 'page',
  statusCode: 400,
  title: 'Not a login',
  text: 'This address belongs to no login that is under way here. Run “postern client login” again, and open the address that it prints.',
}
const NOT_NOW: BrowserAnswer = {
  kind: 'page',
  statusCode: 503,
  title: 'Not now',
  text: 'The gateway cannot sign anybody in at the moment. Try again later, or ask whoever runs it.',
}
const ANOTHER_BROWSER: BrowserAnswer = {
  kind: 'page',
  statusCode: 400,
  title: 'Not your login',
  text: 'This login began in another browser. If it was you who began it, run “postern client login” again and stay in one browser. If it was not, somebody may have sent you here to sign you in as them: close this page.',
}

/** Null for a query that cannot be read. */
function readQuery(request: IncomingMessage): Parameters | null {
  try {
    return queryParameters(request.url ?? '')
  } catch {
    return null
  }
}

/** Without consent offline access is to be ignored (OpenID Connect Core 1.0, section 11), and is asked for whoever asks. */
function promptsOf(asked: string, scopes: readonly string[]): string {
  const consent = scopes.includes('offline_access') ? ['consent'] : []
  return [...new Set([...asked.split(' ').filter((value) => PROMPTS.has(value)), ...consent])].join(' ')
}
