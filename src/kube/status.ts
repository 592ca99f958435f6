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

/**
 * An error that a client may see. `status` is public; `detail` and `cause` are for the operator's log and
 * may name addresses, certificates and files.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly status: Status
  readonly detail: string

  constructor(status: Status, options: { readonly detail?: string; readonly cause?: unknown } = {}) {
    super(status.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = status
    this.detail = options.detail ?? ''
  }
}

/** Builds a {@link Status}; `code` is the HTTP status code. */
export function failure(code: number, reason: StatusReason, message: string, details?: StatusDetails): Status {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason } as const
  return details === undefined ? { ...head, code } : { ...head, details, code }
}
