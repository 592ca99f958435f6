export type ClientErrorCode =
  /** There is no login, or it has ended: `postern client login` is what to do. */
  | 'NotSignedIn'
  /** The person or the identity provider ended the login. */
  | 'LoginRefused'
  | 'LoginTimedOut'
  /** The gateway does not take a login that was made just now: it was revoked, and what the issuer gave is no newer one. */
  | 'LoginRevoked'
  /** No port for the browser to come back to. */
  | 'PortBlocked'
  /** A file of ours is open to other accounts, or not ours at all. */
  | 'CacheUnsafe'
  /** A file of ours cannot be read or written. */
  | 'CacheUnusable'
  | 'CacheBusy'
  /** No answer over TLS. */
  | 'Unreachable'
  /** The certificate of the other side is not signed by an authority that we trust. */
  | 'Untrusted'
  /** The other side answered, but not as its protocol says. */
  | 'Unexpected'
  /** The portal said no. */
  | 'Refused'
  | 'KubeconfigUnusable'
  | 'BadArgument'

/**
 * What went wrong on a person's laptop. The message is one sentence that also says what to do next; it may quote
 * the other side, so whoever prints it escapes control characters. It never holds a token.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: ClientErrorCode

  constructor(code: ClientErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** The sentence for a login that is missing or over. `why` is a phrase without a full stop. */
export function notSignedIn(portal: string, why: string): ClientError {
  return new ClientError('NotSignedIn', `${why}; run: postern client login --portal ${portal}`)
}

/** The sentence for what is in the place of a file of the login cache: a directory, a pipe, a symbolic link. */
export function noOrdinaryFile(path: string): ClientError {
  return new ClientError('CacheUnusable', `${path} is no ordinary file; remove it and try again`)
}

/** The sentence for a file of the login cache that cannot be read or written; other errors come back as they are. */
export function explainFileError(path: string, doing: 'read' | 'written', error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return error
  return cacheUnusable(path, `cannot be ${doing} (${String(error.code)})`, error)
}

/** What `path` of the login cache `does`, and what to do about it. */
export function cacheUnusable(path: string, does: string, cause: unknown): ClientError {
  return new ClientError(
    'CacheUnusable',
    `${path} ${does}; mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME`,
    { cause },
  )
}
