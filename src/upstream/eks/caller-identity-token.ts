import { type BinaryLike, createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { AwsCredentials } from './eks-options.ts'
import { stsHost } from './partition.ts'

const PREFIX = 'k8s-aws-v1.'
/** Name of the header that binds a token to one cluster. */
export const CLUSTER_HEADER = 'x-k8s-aws-id'
/** What the signed URL says of its life, in seconds. STS does not look at it; old authenticators take no more than 60. */
const EXPIRES_SECONDS = 60
/** STS answers a signed URL for 15 minutes; the last one is kept as a reserve for the way. */
const TOKEN_LIFETIME_MS = 14 * 60_000
/** aws-iam-authenticator refuses longer tokens. */
const MAX_TOKEN_LENGTH = 4096

/** What a token is made for. */
export interface CallerIdentityTokenOptions {
  /** What the cluster calls itself: its name, or the id of a cluster on an Outpost. */
  readonly clusterID: string
  readonly region: string
  readonly fips: boolean
}

/** A bearer token. Whoever has it is us, on that cluster, until it ends. */
export interface CallerIdentityToken {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number
}

/**
 * Makes the token that an EKS cluster takes as ours: a GetCallerIdentity request to STS, signed and not sent, with the
 * cluster's name among the signed headers. The cluster sends it. Nothing is asked of AWS, and no permission is needed.
 *
 * It ends with the credentials that signed it where those end earlier.
 *
 * @param nowMs milliseconds since the epoch; AWS takes at most five minutes of difference
 * @throws RangeError for a region that is none, or a token that would be too long to be accepted
 * @see sigs.k8s.io/aws-iam-authenticator `pkg/token/token.go`
 */
export async function makeCallerIdentityToken(
  { clusterID, region, fips }: CallerIdentityTokenOptions,
  credentials: AwsCredentials,
  nowMs: number,
): Promise<CallerIdentityToken> {
  const host = stsHost(region, fips)
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const signer = new SignatureV4({
    service: 'sts',
    region,
    sha256: Sha256,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
  })
  const { query = {} } = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname: host,
      path: '/',
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      headers: { host, [CLUSTER_HEADER]: clusterID },
    },
    { expiresIn: EXPIRES_SECONDS, signingDate: new Date(nowMs) },
  )
  const parameters = Object.entries(query).map(([name, value]) => `${escape(name)}=${escape(String(value))}`)
  const token = PREFIX + Buffer.from(`https://${host}/?${parameters.join('&')}`).toString('base64url')
  if (token.length > MAX_TOKEN_LENGTH) {
    throw new RangeError(`the AWS session token is so long that the cluster would not read the token made with it`)
  }
  return { token, expiresAtMs: Math.min(nowMs + TOKEN_LIFETIME_MS, credentials.expiration?.getTime() ?? Infinity) }
}

/** The signed URL within a token of ours. */
export function signedURL(token: string): URL {
  return new URL(Buffer.from(token.slice(PREFIX.length), 'base64url').toString())
}

/** RFC 3986 section 2.3, as SigV4 wants it. */
function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}

type Digest = ReturnType<typeof createHash> | ReturnType<typeof createHmac>

/** Node's SHA-256 in the form that the signer asks for: an HMAC when there is a secret. */
class Sha256 {
  readonly #secret: BinaryLike | undefined
  #hash: Digest

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined || typeof secret === 'string' ? secret : bytesOf(secret)
    this.#hash = this.#begin()
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()))
  }

  reset(): void {
    this.#hash = this.#begin()
  }

  #begin(): Digest {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret)
  }
}

function bytesOf(secret: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret)
}
