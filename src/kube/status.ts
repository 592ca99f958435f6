import { escapeCharacter, quote } from './quote.ts'

/**
 * The reasons of `metav1.Status` that Postern itself gives.
 *
 * @see k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, StatusReason
 */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'Conflict'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'Invalid'
  | 'TooManyRequests'
  | 'InternalError'
  | 'BadGateway'
  | 'ServiceUnavailable'
  | 'Timeout'

/** What the error is about; kubectl reads `name` and `kind` (the plural resource). */
export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
  readonly retryAfterSeconds?: number
}

/** A failed `metav1.Status`: the body of every refusal. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, never>>
  readonly status: 'Failure'
  readonly message: string
  readonly reason: StatusReason
  readonly details?: StatusDetails
  /** The HTTP status code. */
  readonly code: number
}

/** What the operator's log gets to know of an error, and the client does not. */
export interface PrivateDetail {
  readonly detail?: string
  readonly cause?: unknown
}

/**
 * An error that a client may see. `status` is public; `detail` and `cause` are for the operator's log and
 * may name addresses, certificates and files.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly status: Status
  readonly detail: string

  constructor(status: Status, options: PrivateDetail = {}) {
    super(status.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = status
    this.detail = options.detail ?? ''
  }
}

/** Longest message of a {@link Status}, in bytes of UTF-8. It is all that a person at a terminal gets to see. */
export const MAX_MESSAGE_BYTES = 1024

/**
 * Builds a {@link Status}; `code` is the HTTP status code. The message is cut at {@link MAX_MESSAGE_BYTES},
 * and its control, format and line-separating characters are escaped.
 */
export function failure(code: number, reason: StatusReason, message: string, details?: StatusDetails): Status {
  const head = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: toOneLine(message),
    reason,
  } as const
  return details === undefined ? { ...head, code } : { ...head, details, code }
}

/** Renders the body of a refusal: JSON and a newline, as Kubernetes sends it. */
export function renderStatus(status: Status): Buffer {
  return Buffer.from(`${JSON.stringify(status)}\n`)
}

/** 400: the request cannot be understood in exactly one way. */
export function badRequest(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(400, 'BadRequest', message), options)
}

/** 401: who is asking is not known. The answer needs a `WWW-Authenticate` header. */
export function unauthorized(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(401, 'Unauthorized', message), options)
}

/**
 * 404: there is no such object.
 *
 * @see k8s.io/apimachinery `pkg/api/errors/errors.go`, NewNotFound (v0.36)
 */
export function notFound(apiGroup: string, resource: string, name: string, options?: PrivateDetail): StatusError {
  const message = `${apiGroup === '' ? resource : `${resource}.${apiGroup}`} ${quote(name)} not found`
  const details = { name, ...(apiGroup === '' ? {} : { group: apiGroup }), kind: resource }
  return new StatusError(failure(404, 'NotFound', message, details), options)
}

/** 405: the method is not one that Kubernetes knows, or not one for this path. */
export function methodNotAllowed(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(405, 'MethodNotAllowed', message), options)
}

/** 413: a body or head is over its limit. */
export function tooLarge(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`), options)
}

/**
 * 429: the subject asks too much. client-go tries again by itself only when the answer has a `Retry-After`
 * header, and then without a word to the person who waits.
 */
export function tooManyRequests(message: string, retryAfterSeconds: number, options?: PrivateDetail): StatusError {
  return new StatusError(failure(429, 'TooManyRequests', message, { retryAfterSeconds }), options)
}

/** 500: a fault of ours, or an authorizer that could not decide. The message is public; keep the cause in `options`. */
export function internalError(message: string, options?: PrivateDetail): StatusError {
  const details = { causes: [{ message: toOneLine(message) }] }
  return new StatusError(failure(500, 'InternalError', `Internal error occurred: ${message}`, details), options)
}

/** 502: the API server broke the protocol, or its certificate does not hold. */
export function badGateway(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(502, 'BadGateway', message), options)
}

/** 503: the API server, the issuer or the recorder cannot be reached, or the connector stops. */
export function serviceUnavailable(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(503, 'ServiceUnavailable', message), options)
}

/** 504: the API server did not answer in time; what was asked may have happened all the same. */
export function timeout(message: string, options?: PrivateDetail): StatusError {
  return new StatusError(failure(504, 'Timeout', `Timeout: ${message}`), options)
}

const BREAKS_A_LINE = /[\p{C}\p{Zl}\p{Zp}]/gu

function toOneLine(message: string): string {
  const line = message.slice(0, MAX_MESSAGE_BYTES + 1).replace(BREAKS_A_LINE, escapeCharacter)
  const bytes = Buffer.from(line)
  if (bytes.length <= MAX_MESSAGE_BYTES) return line
  const kept = bytes.subarray(0, MAX_MESSAGE_BYTES - Buffer.byteLength('…')).toString()
  return `${kept.replace(/\uFFFD+$/u, '')}…`
}
