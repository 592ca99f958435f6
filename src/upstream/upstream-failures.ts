import { failure, StatusError } from '../kube/status.ts'

/** Makes the errors of one API server: general words for the client, the address and the cause for the operator. */
export class UpstreamFailures {
  readonly #authority: string

  /** `authority` is the host and port as the operator knows them. */
  constructor(authority: string) {
    this.#authority = authority
  }

  /** Name look-up, TCP or TLS failed. */
  unreachable(cause: Error): StatusError {
    const status = failure(503, 'ServiceUnavailable', 'the API server of this socket cannot be reached')
    return this.#error(status, `cannot connect: ${describe(cause)}`, cause)
  }

  /** What came is not HTTP/1.1. */
  malformed(cause: Error): StatusError {
    const status = failure(502, 'BadGateway', 'the API server of this socket gave an answer that is not valid HTTP')
    return this.#error(status, `malformed answer: ${cause.message}`, cause)
  }

  /** The connection ended before the answer did. */
  brokenOff(cause?: Error): StatusError {
    const status = failure(502, 'BadGateway', 'the API server of this socket broke off before its answer was whole')
    return this.#error(status, `connection lost: ${cause === undefined ? 'it was closed' : describe(cause)}`, cause)
  }

  /** No head of an answer came in time. */
  late(timeoutMs: number): StatusError {
    const status = failure(504, 'Timeout', 'the API server of this socket did not answer in time')
    return this.#error(status, `no answer within ${timeoutMs} ms`)
  }

  /** There are as many connections as there may be. */
  overloaded(detail: string): StatusError {
    const message = 'too many requests to the API server of this socket are under way, please try again later'
    return this.#error(failure(429, 'TooManyRequests', message, { retryAfterSeconds: 1 }), detail)
  }

  /** The upstream was closed. */
  closed(): StatusError {
    return this.#error(failure(503, 'ServiceUnavailable', 'the connector is stopping'), 'this upstream was closed')
  }

  /** The caller sent more or less body than it had announced. */
  bodyLengthMismatch(): StatusError {
    const status = failure(400, 'BadRequest', 'the request body does not have the length that it announced')
    return this.#error(status, 'request body and its length differ')
  }

  /** An answer to a probe that does not show a working API server. */
  unready(message: string, detail: string): StatusError {
    return this.#error(failure(503, 'ServiceUnavailable', message), detail)
  }

  #error(status: StatusError['status'], detail: string, cause?: Error): StatusError {
    const options = { detail: `API server ${this.#authority}: ${detail}` }
    return new StatusError(status, cause === undefined ? options : { ...options, cause })
  }
}

/** In one line. Dialling several addresses of a name gives several errors in one without a message of its own. */
function describe(error: Error): string {
  const errors = error instanceof AggregateError ? error.errors.filter((each) => each instanceof Error) : [error]
  return errors.map((each) => each.message.replaceAll(/\s*[\r\n]+\s*/g, ' ')).join('; ')
}
