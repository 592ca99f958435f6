/** Bounds on what one API server may cost the connector. Times are in milliseconds. */
export interface UpstreamLimits {
  /** From the look-up of the name to the TCP connection. */
  readonly connectTimeoutMs: number
  /** From there to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number
  /** From the end of a request to the head of its answer, when the request does not say otherwise. */
  readonly responseHeadTimeoutMs: number
  /**
   * How long a connection is kept for the next request; it ends at most a quarter later. Below the 90 s after
   * which kube-apiserver closes it, so that no request is sent into the closing.
   */
  readonly idleTimeoutMs: number
  readonly maxIdleConnections: number
  /** Those that carry something, those being dialled and those handed over for an upgrade all count. */
  readonly maxConnections: number
  /** Requests that may wait for a connection once there are `maxConnections`. */
  readonly maxWaiting: number
  /** How long each of them waits. */
  readonly waitTimeoutMs: number
}

/**
 * kube-apiserver gives up an ordinary request after 60 s and closes idle connections after 90 s. A watch holds its
 * connection, so that connections are counted in thousands; each costs some 50 KB and a file descriptor.
 */
export const DEFAULT_UPSTREAM_LIMITS: UpstreamLimits = Object.freeze({
  connectTimeoutMs: 5_000,
  handshakeTimeoutMs: 10_000,
  responseHeadTimeoutMs: 65_000,
  idleTimeoutMs: 60_000,
  maxIdleConnections: 256,
  maxConnections: 10_000,
  maxWaiting: 1_000,
  waitTimeoutMs: 5_000,
})
