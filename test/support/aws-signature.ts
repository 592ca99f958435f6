import { createHash, createHmac } from 'node:crypto'

/** A request as it came over the wire. */
export interface SignedRequest {
  readonly method: string
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What a signature says of itself, whether it stands in `Authorization` or in the query. */
export interface Signature {
  readonly accessKeyID: string
  /** `20260101T000000Z`. */
  readonly date: string
  readonly region: string
  readonly service: string
  readonly signedHeaders: readonly string[]
  /** Empty without one. */
  readonly sessionToken: string
  readonly signature: string
  readonly presigned: boolean
}

/** Reads the signature of a request; null when it has none. */
export function readSignature({ target, headers }: SignedRequest): Signature | null {
  const query = new URL(target, 'https://host').searchParams
  const presigned = query.has('X-Amz-Signature')
  const parts = Object.fromEntries(
    (headers['authorization'] ?? '')
      .replace(/^AWS4-HMAC-SHA256 /, '')
      .split(', ')
      .map((part) => part.split('=', 2)),
  ) as Record<string, string | undefined>
  const credential = (presigned ? query.get('X-Amz-Credential') : parts['Credential']) ?? ''
  const [accessKeyID = '', , region = '', service = ''] = credential.split('/')
  if (accessKeyID === '') return null
  return {
    accessKeyID,
    region,
    service,
    presigned,
    date: (presigned ? query.get('X-Amz-Date') : headers['x-amz-date']) ?? '',
    signedHeaders: ((presigned ? query.get('X-Amz-SignedHeaders') : parts['SignedHeaders']) ?? '').split(';'),
    sessionToken: (presigned ? query.get('X-Amz-Security-Token') : headers['x-amz-security-token']) ?? '',
    signature: (presigned ? query.get('X-Amz-Signature') : parts['Signature']) ?? '',
  }
}

/**
 * The signature that the request ought to have, by AWS's own description of Signature Version 4, written apart from the
 * signer that it checks.
 */
export function expectedSignature(request: SignedRequest, signature: Signature, secretAccessKey: string): string {
  const { date, region, service, signedHeaders, presigned } = signature
  const [path = '/', query = ''] = request.target.split('?', 2)
  const canonicalQuery = query
    .split('&')
    .filter((pair) => pair !== '' && !pair.startsWith('X-Amz-Signature='))
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort()
    .join('&')
  const payload = presigned ? Buffer.alloc(0) : request.body
  const canonicalRequest = [
    request.method,
    path.split('/').map(escape).join('/'),
    canonicalQuery,
    ...signedHeaders.map((name) => `${name}:${(request.headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    signedHeaders.join(';'),
    sha256(payload),
  ].join('\n')
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`
  const key = [date.slice(0, 8), region, service, 'aws4_request'].reduce<Buffer>(
    (secret, text) => hmac(secret, text),
    Buffer.from(`AWS4${secretAccessKey}`),
  )
  return hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha256(canonicalRequest)].join('\n')).toString('hex')
}

/** Milliseconds since the epoch of `20260101T000000Z`; NaN for other texts. */
export function parseAmzDate(date: string): number {
  return Date.parse(date.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'))
}

function escape(segment: string): string {
  return encodeURIComponent(segment).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
