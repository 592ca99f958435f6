import { type Credential, isBearerToken } from './credential.ts'
import { readSmallFile } from './small-file.ts'

/** A token file may have at most so many bytes. */
export const MAX_TOKEN_BYTES = 64 * 1024
/** How often a token file is read again, in milliseconds. The kubelet renews a service account's token long before its end. */
const TOKEN_REFRESH_MS = 2_000

/**
 * A bearer token in a file that somebody else renews, as the kubelet does for a service account.
 *
 * Read again every {@link TOKEN_REFRESH_MS}, and at once when the API server has answered 401. While the file
 * cannot be read the last good token stays in force, and `problem` says why.
 */
export class TokenFile implements Credential {
  /** Where the token is. */
  readonly path: string
  readonly #timer: NodeJS.Timeout
  #authorization: string
  #problem = ''
  #reading = false

  private constructor(path: string, token: string, refreshMs: number) {
    this.path = path
    this.#authorization = `Bearer ${token}`
    this.#timer = setInterval(() => {
      this.rejected()
    }, refreshMs)
    this.#timer.unref()
  }

  /**
   * The token in the file. `close()` ends the re-reading.
   *
   * @throws Error with one phrase that names the file and never its content
   */
  static async open(path: string, refreshMs = TOKEN_REFRESH_MS): Promise<TokenFile> {
    return new TokenFile(path, await readToken(path), refreshMs)
  }

  get problem(): string {
    return this.#problem
  }

  authorization(): string {
    return this.#authorization
  }

  rejected(): void {
    if (!this.#reading) void this.#read()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #read(): Promise<void> {
    this.#reading = true
    try {
      this.#authorization = `Bearer ${await readToken(this.path)}`
      this.#problem = ''
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
    } finally {
      this.#reading = false
    }
  }
}

async function readToken(path: string): Promise<string> {
  const token = (await readSmallFile(path, MAX_TOKEN_BYTES)).trim()
  if (token === '') throw new Error(`the token file ${path} is empty`)
  if (!isBearerToken(token)) throw new Error(`the token file ${path} holds characters that no token has`)
  return token
}
