/** How a command ended, as its error stream told. */
export interface ExitStatus {
  /** 0 to 255; null when none was told. */
  readonly exitCode: number | null
  /** What went wrong beyond an exit code; else empty. */
  readonly message: string
}

/** Bytes of an error stream that are read; what follows is not. */
const MAX_STATUS_BYTES = 65_536

/** Longest message that is kept, in characters. */
const MAX_MESSAGE_CHARS = 1024

/** Since `v4.channel.k8s.io` the error stream carries a Status; before, text. */
const STATUS_SUBPROTOCOL = /^v[45]\./

/**
 * Reads the error stream of an exec or attach.
 *
 * @see k8s.io/client-go `tools/remotecommand/v4.go`
 */
export class ExitStatusReader {
  readonly #carriesStatus: boolean
  #bytes = Buffer.alloc(0)

  constructor(subprotocol: string) {
    this.#carriesStatus = STATUS_SUBPROTOCOL.test(subprotocol)
  }

  push(chunk: Uint8Array): void {
    const room = MAX_STATUS_BYTES - this.#bytes.length
    if (room > 0) this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, room)])
  }

  /** What was told so far. */
  get status(): ExitStatus {
    const text = this.#bytes.toString('utf8').trim()
    if (text === '') return { exitCode: null, message: '' }
    const status = this.#carriesStatus ? parseStatus(text) : null
    return status ?? { exitCode: null, message: text.slice(0, MAX_MESSAGE_CHARS) }
  }
}

/** Null when the text is no Status. */
function parseStatus(text: string): ExitStatus | null {
  let status: unknown
  try {
    status = JSON.parse(text)
  } catch {
    return null
  }
  const outcome = field(status, 'status')
  if (outcome === 'Success') return { exitCode: 0, message: '' }
  if (outcome !== 'Failure') return null
  if (field(status, 'reason') === 'NonZeroExitCode') {
    const causes = field(field(status, 'details'), 'causes')
    for (const cause of Array.isArray(causes) ? (causes as unknown[]) : []) {
      const code = field(cause, 'message')
      if (field(cause, 'reason') === 'ExitCode' && typeof code === 'string' && /^\d{1,3}$/.test(code)) {
        return { exitCode: Number(code), message: '' }
      }
    }
  }
  const message = field(status, 'message')
  return { exitCode: null, message: (typeof message === 'string' ? message : text).slice(0, MAX_MESSAGE_CHARS) }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
