import type { SecretText } from '../document/secret.ts'
import type { GroupsSourceOptions } from './groups-source-options.ts'

/** Signature algorithms that a token may be signed with. Never `none`, never HMAC. */
export const SIGNING_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

/** `EdDSA` stands for Ed25519. */
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number]

/** What an issuer may sign with unless its options say otherwise: RSA and ECDSA, as kube-apiserver accepts. */
export const DEFAULT_ALGORITHMS: readonly SigningAlgorithm[] = SIGNING_ALGORITHMS.filter((name) => name !== 'EdDSA')

/** A claim, and what is put before its value to make a name. */
export interface PrefixedClaim {
  readonly claim: string
  /** May be empty, which then stands there on purpose. */
  readonly prefix: string
}

/**
 * An expression of the Common Expression Language over `claims` (or, in {@link UserValidationRule}, over `user`). It makes
 * whole names, prefix included.
 */
export interface Expression {
  readonly expression: string
}

/** How the claims of one issuer become a subject. Claims are top-level names, taken literally. */
export interface ClaimMappings {
  /**
   * A string claim, or an expression that gives a string. With `email`, `email_verified` must be true when the token has
   * it; an expression that reads `claims.email` has to read `claims.email_verified`, or another one that is always
   * evaluated has to.
   *
   * > [!WARNING]
   * > Names a person may choose for themselves (`preferred_username`, `name`) let them become somebody else.
   */
  readonly username: PrefixedClaim | Expression
  /** A string or an array of strings; a token without the claim has no groups, and an expression may give null. */
  readonly groups?: PrefixedClaim | Expression
  /** A string; as a claim every token must have it, from an expression it may be empty. */
  readonly uid?: { readonly claim: string } | Expression
  /** A string or an array of strings; a claim may be missing, an expression may give null. */
  readonly extra?: readonly ExtraMapping[]
}

/** A key in lower case, and where its values come from. */
export type ExtraMapping =
  { readonly key: string; readonly claim: string } | { readonly key: string; readonly valueExpression: string }

/** A claim that has to be there, as a string, with exactly this value; or an expression that has to be true. */
type ClaimValidationRule =
  | { readonly claim: string; readonly requiredValue: string }
  | (Expression & { /** What a person is told; no secret. */ readonly message?: string })

/** An expression over `user` (username, uid, groups, extra) that has to be true of the subject. */
interface UserValidationRule extends Expression {
  /** What a person is told; no secret. */
  readonly message?: string
}

/** How a person's machine may sign in. Absent values are the first ones named. */
export interface SignInFlows {
  /** Off or on: the device authorization grant (RFC 8628). */
  readonly deviceAuthorization?: boolean | undefined
  /** `127.0.0.1`, or another name of a person's own machine. */
  readonly redirectHost?: '127.0.0.1' | '::1' | 'localhost' | undefined
  /** A path of each login's own, or this one. */
  readonly redirectPath?: string | undefined
  /** Any free port, or the first free one of these. */
  readonly redirectPorts?: readonly number[] | undefined
}

/** Fewest characters of a client's secret: what is sealed with it passes through browsers, where it can be guessed at. */
export const MIN_CLIENT_SECRET_CHARACTERS = 16

/** How a client proves itself at the token endpoint, in the words of RFC 7591 section 2. */
export const CLIENT_AUTH_METHODS = ['client_secret_basic', 'client_secret_post'] as const

export type ClientAuthMethod = (typeof CLIENT_AUTH_METHODS)[number]

/** What makes a client a confidential one (RFC 6749 section 2.1). The portal then speaks to the issuer, and no laptop. */
export interface ConfidentialClient {
  /** At least {@link MIN_CLIENT_SECRET_CHARACTERS}. A file is read at each use, so that it can be replaced. */
  readonly secret: SecretText
  /** Absent: what the issuer's metadata says. */
  readonly tokenEndpointAuthMethod?: ClientAuthMethod
  /** Added to authorization requests, for what an issuer asks beyond OpenID Connect. */
  readonly authorizationParameters: Readonly<Record<string, string>>
}

/**
 * One OpenID Connect issuer whose ID tokens are accepted.
 *
 * @see KEP-3331, `JWTAuthenticator` of apiserver.config.k8s.io/v1
 */
export interface IssuerOptions {
  /** `https`, no user, query or fragment. Compared with `iss` and with the discovery document character by character. */
  readonly url: string
  /** Where the discovery document is when not at `URL/.well-known/openid-configuration`. */
  readonly discoveryURL?: string
  /** PEM. When given, it alone is trusted for this issuer; otherwise the certificate authorities that Node comes with. */
  readonly certificateAuthority?: string
  /** At least one; a token must be meant for one of them. */
  readonly audiences: readonly string[]
  /** Default {@link DEFAULT_ALGORITHMS}. */
  readonly algorithms?: readonly SigningAlgorithm[]
  /** What `postern client login` signs in with. Without it, nobody can sign in here with that. */
  readonly client?: {
    readonly id: string
    readonly scopes: readonly string[]
    /** Absent for a public client. */
    readonly confidential?: ConfidentialClient
    /** Whether the issuer ends logins with logout tokens for the client. */
    readonly backchannelLogout?: boolean
  } & SignInFlows
  readonly claimMappings: ClaimMappings
  /** URLs of other issuers that name the same people and groups: a name of theirs is the same subject as one of this. */
  readonly sharesNamesWith?: readonly string[]
  readonly claimValidationRules: readonly ClaimValidationRule[]
  readonly userValidationRules?: readonly UserValidationRule[]
  /** Where the groups are that a token leaves out. Without it such a token is refused. */
  readonly groupsFrom?: GroupsSourceOptions
}

/** What a client has to know to sign in at an issuer. Nothing of it is secret. */
export interface SignInParameters {
  readonly issuer: string
  readonly clientId: string
  readonly scopes: readonly string[]
  /** PEM; absent when the issuer's certificate is one that everybody trusts. */
  readonly certificateAuthority?: string
}

/** The public part of an issuer's options; undefined when nobody signs in there. */
export function signInParameters({ url, client, certificateAuthority }: IssuerOptions): SignInParameters | undefined {
  if (client === undefined) return undefined
  return {
    issuer: url,
    clientId: client.id,
    scopes: client.scopes,
    ...(certificateAuthority !== undefined && { certificateAuthority }),
  }
}

/** @throws TypeError for options that no issuer can be accepted with; the document's schema finds these first. */
export function assertIssuerOptions(issuers: readonly IssuerOptions[]): void {
  if (issuers.length === 0) throw new TypeError('at least one issuer is needed')
  const urls = new Set(issuers.map(({ url }) => url))
  if (urls.size < issuers.length) throw new TypeError('an issuer is listed twice')
  for (const { url, discoveryURL, audiences, algorithms = DEFAULT_ALGORITHMS, claimMappings } of issuers) {
    if (!isPlainHttps(url)) throw new TypeError('the URL of an issuer is https without user, query and fragment')
    if (discoveryURL !== undefined && !isPlainHttps(discoveryURL)) throw new TypeError('a discovery URL is https')
    if (audiences.length === 0 || audiences.includes('')) throw new TypeError('an issuer needs an audience')
    if (algorithms.length === 0 || !algorithms.every((name) => SIGNING_ALGORITHMS.includes(name))) {
      throw new TypeError(`algorithms are some of ${SIGNING_ALGORITHMS.join(', ')}`)
    }
    if ('claim' in claimMappings.username && claimMappings.username.claim === '')
      throw new TypeError('an issuer needs a username claim')
  }
}

function isPlainHttps(text: string): boolean {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && !/[?#@]/.test(text)
}
