import { ClientError, type ClientErrorCode } from './client-error.ts'

/** An error in the words of OAuth (RFC 6749 sections 4.1.2.1 and 5.2). */
export interface OAuthError {
  /** Of HTTP; 0 when the browser brought it. */
  readonly status: number
  readonly error: string
  /** Empty when there is none. */
  readonly description: string
}

/** Which client asked whom. */
export interface Asked {
  readonly url: string
  readonly clientID: string
  /** What it asked with, which an issuer may repeat and nobody may read: codes, verifiers and tokens. */
  readonly secrets: readonly string[]
}

/** The sentence for what an issuer answered: `oauth` where it says it in those words, else what went wrong. */
export function explainIssuerError(
  { url, clientID, secrets }: Asked,
  error: unknown,
  oauth: OAuthError | null,
): ClientError {
  const cause = { cause: error }
  const reasons = causesOf(error)
  const own = reasons.find((reason) => reason instanceof ClientError)
  if (own !== undefined) return own
  if (oauth !== null) {
    const [code, message] = explainOAuthError(url, clientID, {
      status: oauth.status,
      error: redacted(oauth.error, secrets),
      description: redacted(oauth.description, secrets),
    })
    return new ClientError(code, message, cause)
  }
  if (error instanceof Error && error.cause instanceof Response && error.cause.status >= 400)
    return new ClientError('Unreachable', `${url} answered HTTP ${error.cause.status}; try again later`, cause)
  const skew = skewOf(reasons)
  if (skew !== null)
    return new ClientError(
      'Unexpected',
      `the ID token of ${url} is not good at this time: the clock of this machine is ${skew}; set it and sign in again`,
      cause,
    )
  return new ClientError(
    'Unexpected',
    `${url} did not answer as OpenID Connect asks (${redacted(reasons.at(-1)?.message ?? String(error), secrets)}); ask whoever runs it`,
    cause,
  )
}

/** What is shorter is no secret, and may stand in any word. */
const MIN_REDACTED_LENGTH = 8

function redacted(text: string, secrets: readonly string[]): string {
  return secrets
    .filter(({ length }) => length >= MIN_REDACTED_LENGTH)
    .reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text)
}

/** Only the first three end a login; it outlives what is the operator's to mend. */
function explainOAuthError(
  url: string,
  clientID: string,
  { status, error, description }: OAuthError,
): [ClientErrorCode, string] {
  const said = description === '' ? error : `${error} (${description.slice(0, MAX_DESCRIPTION_LENGTH)})`
  if (status === 0 || error === 'access_denied') return ['LoginRefused', `${url} refused the login: ${said}`]
  if (error === 'invalid_grant') return ['LoginRefused', `${url} answered ${status}: ${said}`]
  if (error === 'expired_token') return ['LoginTimedOut', 'nobody signed in with the code in time']
  const client =
    error === 'invalid_client' || error === 'unauthorized_client'
      ? `client "${clientID}" has to be a public one that may do this: `
      : ''
  return ['Unexpected', `${url} answered ${status}: ${said}; ${client}ask whoever runs it`]
}

const MAX_DESCRIPTION_LENGTH = 200

/** The library says what it expected in the innermost error; the outer ones are more general. */
function causesOf(error: unknown): readonly Error[] {
  const causes: Error[] = []
  for (let reason = error; reason instanceof Error; reason = reason.cause) causes.push(reason)
  return causes
}

/** How a clock is off when a token of just now is past or not yet good; null when it is something else. */
function skewOf(reasons: readonly Error[]): string | null {
  const failure = reasons.findLast((reason) => 'code' in reason && reason.code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED')
  const facts = typeof failure?.cause === 'object' && failure.cause !== null ? failure.cause : {}
  const claims = 'claims' in facts && typeof facts.claims === 'object' && facts.claims !== null ? facts.claims : {}
  if (!('iat' in claims) || typeof claims.iat !== 'number') return null
  const now = 'now' in facts && typeof facts.now === 'number' ? facts.now : 0
  const minutes = Math.max(1, Math.round(Math.abs(now - claims.iat) / 60))
  return `about ${minutes} min ${now > claims.iat ? 'ahead' : 'behind'}, or the issuer's is off`
}
