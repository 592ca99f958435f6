import { SpdyWriter, clientFrame, data, frame } from '../../test/support/session-bytes.ts'

/** How an exec reaches the API server. */
export type Protocol = 'SPDY' | 'WebSocket'

/**
 * What a session carries: a terminal's output, a pipe into a command, a file out of one, or nothing at all.
 */
export type Direction = 'stdout' | 'stdin' | 'idle'

/** One exec. */
export interface Exec {
  readonly protocol: Protocol
  readonly direction: Direction
  /** Bytes of payload in a frame. */
  readonly frameBytes: number
  /** Frames in all. */
  readonly frames: number
}

/** The bytes of both sides, ready-made. */
export interface Wire {
  /** What the client sends right behind the 101: its streams, and the size of the terminal where there is one. */
  readonly opening: Buffer
  /** The API server's answer to it. */
  readonly accepted: Buffer
  /** Frames of payload, sent over and over. */
  readonly block: Buffer
  /** How many times the block is sent. */
  readonly blocks: number
  /** What the client sends behind the last frame of stdin. */
  readonly closing: Buffer
  /** The outcome, and the close of the API server's side. */
  readonly ending: Buffer
}

/** Payload in a block, in bytes. */
const BLOCK_BYTES = 256 * 1024
const FIN = 1
const BINARY = 2
const CLOSE = 8
const STREAM = { error: 1, stdin: 3, stdout: 5, stderr: 7, resize: 9 } as const
const CHANNEL = { stdin: 0, stdout: 1, error: 3, resize: 4, close: 255 } as const
const SIZE = '{"Width":120,"Height":40}'
const SUCCESS = '{"metadata":{},"status":"Success"}'

/** The frames of so many MiB of payload. */
export function framesOf(mebibytes: number, frameBytes: number): number {
  return (mebibytes * 1024 * 1024) / frameBytes
}

/** The path and query that ask for it; the API server reads from the command what to do. */
export function execTarget({ protocol, direction, frameBytes, frames }: Exec): string {
  const command = [protocol, direction, frameBytes, frames].map((word) => `command=${word}`).join('&')
  const streams = direction === 'stdin' ? 'stdin=true&stdout=true&stderr=true' : 'stdin=true&stdout=true&tty=true'
  return `/api/v1/namespaces/default/pods/web-0/exec?${command}&${streams}`
}

/** What {@link execTarget} asked for. */
export function parseExec(target: string): Exec {
  const [protocol, direction, frameBytes, frames] = new URL(target, 'https://host').searchParams.getAll('command')
  return {
    protocol: protocol === 'SPDY' ? 'SPDY' : 'WebSocket',
    direction: direction === 'stdin' || direction === 'stdout' ? direction : 'idle',
    frameBytes: Number(frameBytes),
    frames: Number(frames),
  }
}

export function wireOf(exec: Exec): Wire {
  const count = BLOCK_BYTES / exec.frameBytes
  const text = terminalText(BLOCK_BYTES)
  const payloads = Array.from({ length: count }, (_, i) =>
    text.subarray(i * exec.frameBytes, (i + 1) * exec.frameBytes),
  )
  const common = { blocks: Math.ceil(exec.frames / count) }
  return exec.protocol === 'SPDY'
    ? { ...common, ...spdyWire(exec.direction, payloads) }
    : { ...common, ...webSocketWire(exec.direction, payloads) }
}

function spdyWire(direction: Direction, payloads: readonly Buffer[]): Omit<Wire, 'blocks'> {
  const client = new SpdyWriter()
  const server = new SpdyWriter()
  const isPipe = direction === 'stdin'
  const types = ['error', 'stdin', 'stdout', isPipe ? 'stderr' : 'resize'] as const
  const sender = isPipe ? STREAM.stdin : STREAM.stdout
  return {
    opening: Buffer.concat([
      ...types.map((streamtype) => client.open(STREAM[streamtype], { streamtype })),
      isPipe ? Buffer.alloc(0) : data(STREAM.resize, SIZE),
    ]),
    accepted: Buffer.concat(types.map((type) => server.accept(STREAM[type]))),
    block: Buffer.concat(payloads.map((payload) => data(sender, payload))),
    closing: data(STREAM.stdin, '', FIN),
    ending: Buffer.concat([data(STREAM.stdout, '', FIN), data(STREAM.error, SUCCESS, FIN)]),
  }
}

function webSocketWire(direction: Direction, payloads: readonly Buffer[]): Omit<Wire, 'blocks'> {
  const isPipe = direction === 'stdin'
  const onChannel = (channel: number, payload: string | Buffer) =>
    Buffer.concat([Buffer.from([channel]), Buffer.from(payload)])
  return {
    // A client without a terminal has nothing to send before its input.
    opening: isPipe ? Buffer.alloc(0) : clientFrame(BINARY, onChannel(CHANNEL.resize, SIZE)),
    accepted: Buffer.alloc(0),
    block: Buffer.concat(
      payloads.map((payload, i) =>
        isPipe
          ? clientFrame(BINARY, onChannel(CHANNEL.stdin, payload), { key: [i & 0xff, 0x5a, 0xc3, 0x91] })
          : frame(BINARY, onChannel(CHANNEL.stdout, payload)),
      ),
    ),
    closing: clientFrame(BINARY, Buffer.from([CHANNEL.close, CHANNEL.stdin])),
    ending: Buffer.concat([frame(BINARY, onChannel(CHANNEL.error, SUCCESS)), frame(CLOSE, Buffer.from([0x03, 0xe8]))]),
  }
}

const LEVELS = [
  '\u001b[32mINFO\u001b[0m ',
  '\u001b[33mWARN\u001b[0m ',
  '\u001b[36mDEBUG\u001b[0m',
  '\u001b[31mERROR\u001b[0m',
]

/** A coloured log as a terminal shows it: ASCII, CR LF, an escape sequence at each end of a word. */
function terminalText(byteLength: number): Buffer {
  let text = ''
  for (let line = 0; text.length < byteLength; line += 1) {
    const at = `2026-11-01T09:${String(line % 60).padStart(2, '0')}:07.${String((line * 37) % 1000).padStart(3, '0')}Z`
    const said = `"GET /v1/orders/${line * 7919}" 200 ${(line * 31) % 4096} "-" upstream=orders-${line % 9} took=${line % 83}ms`
    text += `${at} ${LEVELS[line % LEVELS.length] ?? ''} http.server request_id=${line.toString(16).padStart(8, '0')} ${said}\r\n`
  }
  return Buffer.from(text.slice(0, byteLength), 'latin1')
}
