import type { Duplex } from 'node:stream'

// Frames of HTTP/2 as raw bytes, for what no client library would send: RFC 9113 section 6, RFC 7541.

export const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME_TYPE = {
  data: 0x0,
  headers: 0x1,
  rstStream: 0x3,
  settings: 0x4,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const

export const FLAG = { none: 0x0, endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const

export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

/** Header lines as literals that are never indexed, with their bytes as given: one character of a name or value a byte. */
export function http2HeaderBlock(lines: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(lines.flatMap(([name, value]) => [Buffer.from([0x10]), literal(name), literal(value)]))
}

/** The four pseudo headers of a request. */
export function pseudoHeaders(path: string, method = 'GET'): (readonly [string, string])[] {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', path],
  ]
}

function literal(text: string): Buffer {
  return Buffer.concat([integer(text.length), Buffer.from(text, 'latin1')])
}

/** An integer behind a 7-bit prefix whose first bit is 0 (RFC 7541 section 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** A frame that was received. */
interface ReceivedFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/** The whole frames among the bytes received so far. */
function readHttp2Frames(bytes: Buffer): ReceivedFrame[] {
  const frames: ReceivedFrame[] = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    frames.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    })
    at = end
  }
  return frames
}

/** What became of the stream of one request, as far as it shows without decoding header blocks. */
export interface FrameExchange {
  /** All DATA of the stream. */
  readonly body: string
  /** Of a RST_STREAM. */
  readonly resetCode: number | undefined
  /** Of a GOAWAY that ended the connection. */
  readonly goAwayCode: number | undefined
}

/** Opens an HTTP/2 connection with frames for stream 1, and waits until that stream or the connection ends. */
export function exchangeFrames(connection: Duplex, frames: readonly Buffer[]): Promise<FrameExchange> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const settle = (): void => {
      connection.off('data', take).off('close', settle)
      const received = readHttp2Frames(bytes)
      const codeOf = (type: number, at: number): number | undefined =>
        received.find((frame) => frame.type === type)?.payload.readUInt32BE(at)
      const data = received.filter(({ type, streamId }) => type === FRAME_TYPE.data && streamId === 1)
      resolve({
        body: Buffer.concat(data.map(({ payload }) => payload)).toString(),
        resetCode: codeOf(FRAME_TYPE.rstStream, 0),
        goAwayCode: codeOf(FRAME_TYPE.goAway, 4),
      })
    }
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      if (readHttp2Frames(bytes).some(endsStreamOrConnection)) settle()
    }
    connection.on('data', take).on('close', settle)
    connection.write(Buffer.concat([HTTP2_PREFACE, http2Frame(FRAME_TYPE.settings, FLAG.none, 0), ...frames]))
  })
}

function endsStreamOrConnection({ type, flags, streamId }: ReceivedFrame): boolean {
  if (type === FRAME_TYPE.goAway || type === FRAME_TYPE.rstStream) return true
  const carries = type === FRAME_TYPE.data || type === FRAME_TYPE.headers
  return carries && streamId === 1 && (flags & FLAG.endStream) !== 0
}
