import {
  type PortForwardObserver,
  type RemoteCommandObserver,
  type RemoteCommandStream,
  type SessionDecoder,
  type SessionProtocol,
  UndecodableError,
} from '../../src/kube/session/session-decoder.ts'
import { createPortForwardDecoder, createRemoteCommandDecoder } from '../../src/kube/session/session-decoders.ts'

/** What one side sent before the other one did. */
export interface Turn {
  readonly from: 'client' | 'upstream'
  readonly bytes: Uint8Array
}

/** A decoder, and what it told: payload of one stream that came in pieces counts as one. */
export interface Decoding {
  readonly decoder: SessionDecoder
  readonly told: readonly string[]
}

const EVERY_STREAM: readonly RemoteCommandStream[] = ['error', 'stdin', 'stdout', 'stderr', 'resize']

export function remoteCommand(
  protocol: SessionProtocol,
  options: { stdin?: boolean; stdout?: boolean; stderr?: boolean; tty?: boolean } = {},
  wanted: readonly RemoteCommandStream[] = EVERY_STREAM,
): Decoding {
  const tellings = new Tellings()
  const add = tellings.add.bind(tellings)
  const observer: RemoteCommandObserver = {
    wanted: new Set(wanted),
    passed: (stream, byteLength) => {
      add(`${stream} passed`, byteLength, '')
    },
    data: (stream, chunk) => {
      add(`${stream} passed`, 0, Buffer.from(chunk).toString('latin1'))
    },
    ended: (stream) => {
      add(`${stream} ended`)
    },
  }
  const asked = { stdin: true, stdout: true, stderr: true, tty: true, ...options }
  return decoding(createRemoteCommandDecoder(protocol, asked, observer), tellings)
}

export function portForward(protocol: SessionProtocol, ports: readonly number[] = []): Decoding {
  const tellings = new Tellings()
  const add = tellings.add.bind(tellings)
  const observer: PortForwardObserver = {
    opened: (connection, port) => {
      add(`${connection} opened to ${port}`)
    },
    passed: (connection, direction, byteLength) => {
      add(`${connection} ${direction}`, byteLength, '')
    },
    failed: (connection, message) => {
      add(`${connection} failed: ${message}`)
    },
    closed: (connection) => {
      add(`${connection} closed`)
    },
  }
  return decoding(createPortForwardDecoder(protocol, { ports }, observer), tellings)
}

export function feed({ decoder }: Pick<Decoding, 'decoder'>, turns: readonly Turn[]): void {
  for (const { from, bytes } of turns) {
    if (from === 'client') decoder.fromClient(bytes)
    else decoder.fromUpstream(bytes)
  }
}

/** Everything told of the turns. */
export function toldOf(session: Decoding, turns: readonly Turn[]): readonly string[] {
  feed(session, turns)
  return session.told
}

/** The same bytes in other pieces: each turn is cut where the fractions, one after the other, say. */
export function cut(turns: readonly Turn[], fractions: readonly number[]): Turn[] {
  let next = 0
  const fraction = (): number => fractions[next++ % fractions.length] ?? 0
  return turns.flatMap(({ from, bytes }) => {
    const pieces: Turn[] = []
    for (let at = 0; at < bytes.length;) {
      const length = 1 + Math.floor(fraction() * Math.min(bytes.length - at, 1 + fraction() * bytes.length))
      pieces.push({ from, bytes: bytes.slice(at, at + length) })
      at += length
    }
    return pieces
  })
}

function decoding(decoder: SessionDecoder, tellings: Tellings): Decoding {
  return {
    decoder,
    get told() {
      return tellings.lines
    },
  }
}

/** Tellings as lines. */
class Tellings {
  readonly #entries: { readonly what: string; byteLength: number | undefined; payload: string }[] = []

  get lines(): string[] {
    return this.#entries.map(({ what, byteLength, payload }) =>
      byteLength === undefined ? what : `${what} ${byteLength} ${JSON.stringify(payload)}`,
    )
  }

  add(what: string, byteLength?: number, payload = ''): void {
    const last = this.#entries.at(-1)
    if (last?.what !== what || byteLength === undefined || last.byteLength === undefined) {
      this.#entries.push({ what, byteLength, payload })
      return
    }
    last.byteLength += byteLength
    last.payload += payload
  }
}

/** Why the turns are refused, as they must be; what the decoder throws at first it throws from then on. */
export function refusalOf(session: Decoding, turns: readonly Turn[]): string {
  const first = failureOf(() => {
    feed(session, turns)
  })
  for (const from of ['client', 'upstream'] as const) {
    const again = failureOf(() => {
      feed(session, [{ from, bytes: new Uint8Array(1) }])
    })
    if (again !== first) throw new Error('the decoder goes on after it threw')
  }
  if (isFault(first)) throw first
  return first.message
}

/** Whether the decoder itself failed, which then refuses everything as well. */
export function isFault(error: UndecodableError): boolean {
  return error.message === 'the bytes cannot be read'
}

function failureOf(read: () => void): UndecodableError {
  try {
    read()
  } catch (error) {
    if (error instanceof UndecodableError) return error
    throw error
  }
  throw new Error('nothing was refused')
}
