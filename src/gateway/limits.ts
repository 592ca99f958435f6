/** Bounds of the kubernetes listener. Times are in milliseconds, sizes in bytes. */
export interface GatewayLimits {
  /** From the first byte of a connection or request to the end of its head. */
  readonly requestHeadTimeoutMs: number
  /** From the first byte of a request to the last of its body. */
  readonly requestBodyTimeoutMs: number
  /** How long an idle connection is kept. */
  readonly idleConnectionTimeoutMs: number
  /** From the end of a request that is not long-running to the head of the API server's answer. */
  readonly responseHeadTimeoutMs: number
  /** From dialling to the 101 of an exec, attach or port-forward. */
  readonly upgradeTimeoutMs: number
  /** How long requests under way may go on after a stop was asked for. */
  readonly drainTimeoutMs: number
  /** How long a stream goes on after the token that opened it expired, without a newer one of its subject. */
  readonly expiredTokenGraceMs: number
  /** All header lines of a request together. */
  readonly maxHeaderBytes: number
  /** HTTP/2 streams of one connection at a time. */
  readonly maxConcurrentStreams: number
  /** Connections of all clients at a time. */
  readonly maxConnections: number
}

export const DEFAULT_LIMITS: GatewayLimits = Object.freeze({
  requestHeadTimeoutMs: 30_000,
  requestBodyTimeoutMs: 600_000,
  idleConnectionTimeoutMs: 95_000,
  responseHeadTimeoutMs: 65_000,
  upgradeTimeoutMs: 35_000,
  drainTimeoutMs: 10_000,
  expiredTokenGraceMs: 3_600_000,
  maxHeaderBytes: 64 * 1024,
  maxConcurrentStreams: 250,
  maxConnections: 20_000,
})

/** What the header lines beside the token may need, in bytes. kubectl's own take less than one KiB. */
const OTHER_HEADERS_BYTES = 4096

/** The longest token that there is room for in the header lines of a request, in characters. */
export function longestToken({ maxHeaderBytes }: Pick<GatewayLimits, 'maxHeaderBytes'>): number {
  return maxHeaderBytes - OTHER_HEADERS_BYTES
}
