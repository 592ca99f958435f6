import type { RawHeaders } from '../kube/raw-headers.ts'

/** The way back to a client, the same over HTTP/1.1 and HTTP/2. */
export interface Reply {
  readonly headSent: boolean
  /** Whether the response is over or the client has gone. */
  readonly closed: boolean
  /**
   * Sends the head no later than the end of the current turn of the event loop, with the first bytes of the
   * body where they follow at once. `headers` holds no connection header; framing is the reply's own
   * business, but for a `Content-Length`.
   *
   * @throws for header lines that cannot be sent; no head is out then.
   */
  head(statusCode: number, headers: RawHeaders): void
  /** Answers an `Expect: 100-continue`; does nothing when the client did not ask. */
  continue(): void
  /**
   * Returns false when the client reads too slowly; the callback of {@link onDrain} then says when to go on.
   * The chunk's memory is the reply's until `sent` is called.
   */
  write(chunk: Buffer, sent?: () => void): boolean
  /** Ends a whole response. */
  end(): void
  /** Before the head of a reply whose request body is not read to its end: the connection is not used again. */
  leaveBodyUnread(): void
  /** Ends such a reply; the client gets it whole. */
  endUnread(): void
  /** Breaks off, so that the client cannot take what it got for the whole. */
  destroy(): void
  /** One callback; called each time that the client has caught up. */
  onDrain(callback: () => void): void
  /** One callback; called once, when the response is over or the client has gone. */
  onClose(callback: () => void): void
}
