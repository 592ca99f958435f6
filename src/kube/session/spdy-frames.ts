import type { PayloadSink } from './payload-sink.ts'
import { UndecodableError } from './session-decoder.ts'

/** Most bytes of a control frame; data frames may have up to 16 MiB and are never gathered. */
export const MAX_CONTROL_BYTES = 64 * 1024
/** Most entries of a SETTINGS frame. */
export const MAX_SETTINGS = 64

const FRAME_HEAD_BYTES = 8
export const FLAG_FIN = 1

/** Control frames by their number. @see SPDY Protocol, Draft 3.1, section 2.6 */
export const CONTROL = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const

/**
 * The lengths of control frames, least and most. Go's reader takes as many bytes as it knows the frame to have, whatever
 * its length says; any other length would be two readings of what follows.
 */
const CONTROL_LENGTHS: ReadonlyMap<number, readonly [number, number]> = new Map([
  [CONTROL.synStream, [10, MAX_CONTROL_BYTES]],
  [CONTROL.synReply, [4, MAX_CONTROL_BYTES]],
  [CONTROL.rstStream, [8, 8]],
  [CONTROL.settings, [4, 4 + 8 * MAX_SETTINGS]],
  [CONTROL.ping, [4, 4]],
  [CONTROL.goAway, [8, 8]],
  [CONTROL.windowUpdate, [8, 8]],
])

/** Told of the frames of one direction, in their order. May throw an UndecodableError. */
export interface SpdyFrameSink {
  /** A data frame begins: where its payload goes. */
  dataFrame(streamId: number): PayloadSink
  /** A control frame, whole. */
  controlFrame(type: number, flags: number, payload: Buffer): void
  /** What came so far ends with a whole frame. */
  frameEnded?(): void
}

/** Splits one direction of SPDY/3.1 into frames; resumable at any byte, and without a copy of any data frame. */
export class SpdyFrameReader {
  readonly #sink: SpdyFrameSink
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES)
  #headBytes = 0
  /** Bytes of the current frame's payload that are still to come. */
  #missing = 0
  #payload: PayloadSink | undefined
  #control = Buffer.alloc(0)
  #flags = 0
  #type = 0
  #consumed = 0
  #boundary = 0

  constructor(sink: SpdyFrameSink) {
    this.#sink = sink
  }

  /** How many of the bytes make whole frames. */
  get boundary(): number {
    return this.#boundary
  }

  get atBoundary(): boolean {
    return this.#boundary === this.#consumed
  }

  /** How many of the next bytes only have to be counted: those of a payload that nobody wants. */
  get skippable(): number {
    return this.#payload === undefined || this.#payload.wanted ? 0 : this.#missing
  }

  /** How many bytes are missing from the head or payload that is being read. */
  get missing(): number {
    return this.#missing > 0 ? this.#missing : FRAME_HEAD_BYTES - this.#headBytes
  }

  /** Goes over {@link skippable} bytes or fewer. */
  skip(byteLength: number): void {
    this.#payload?.passed(byteLength)
    this.#take(byteLength)
  }

  /** @throws UndecodableError */
  read(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const length = Math.min(this.missing, bytes.length - at)
      if (this.#missing === 0) this.#readHead(bytes, at, length)
      else this.#readPayload(bytes, at, length)
      at += length
    }
  }

  #readHead(bytes: Uint8Array, at: number, length: number): void {
    for (let i = 0; i < length; i++) this.#head[this.#headBytes + i] = bytes[at + i] ?? 0
    this.#headBytes += length
    this.#consumed += length
    if (this.#headBytes === FRAME_HEAD_BYTES) this.#beginFrame()
  }

  #beginFrame(): void {
    this.#headBytes = 0
    const head = this.#head
    this.#flags = head[4] ?? 0
    const length = head.readUIntBE(5, 3)
    const first = head.readUInt32BE(0)
    if (first >= 0x80000000) {
      this.#type = checkedControl(first, length)
      this.#payload = undefined
      this.#control = Buffer.alloc(length)
    } else {
      if (first === 0 || (this.#flags & ~FLAG_FIN) !== 0) throw new UndecodableError('a SPDY data frame is malformed')
      this.#payload = this.#sink.dataFrame(first)
    }
    this.#missing = length
    if (length === 0) this.#endFrame()
  }

  #readPayload(bytes: Uint8Array, at: number, length: number): void {
    const payload = this.#payload
    if (payload === undefined) {
      this.#control.set(bytes.subarray(at, at + length), this.#control.length - this.#missing)
    } else {
      payload.passed(length)
      if (payload.wanted) payload.data(bytes.subarray(at, at + length))
    }
    this.#take(length)
  }

  #take(length: number): void {
    this.#consumed += length
    this.#missing -= length
    if (this.#missing === 0) this.#endFrame()
  }

  #endFrame(): void {
    if (this.#payload === undefined) this.#sink.controlFrame(this.#type, this.#flags, this.#control)
    else if (this.#flags === FLAG_FIN) this.#payload.ended()
    this.#boundary = this.#consumed
    this.#sink.frameEnded?.()
  }
}

function checkedControl(first: number, length: number): number {
  if (first >>> 16 !== 0x8003) throw new UndecodableError('a SPDY frame is not of version 3')
  const type = first & 0xffff
  const lengths = CONTROL_LENGTHS.get(type)
  if (lengths === undefined) throw new UndecodableError(`a SPDY frame has type ${type}, which Kubernetes does not use`)
  const [least, most] = lengths
  if (length < least || length > most) throw new UndecodableError(`a SPDY frame of type ${type} has a wrong length`)
  return type
}

/** A whole data frame. */
export function spdyDataFrame(streamId: number, payload: Uint8Array, flags: 0 | typeof FLAG_FIN): Uint8Array {
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + payload.length)
  frame.writeUInt32BE(streamId, 0)
  frame.writeUInt32BE(payload.length, 4)
  frame[4] = flags
  frame.set(payload, FRAME_HEAD_BYTES)
  return frame
}

/** A GOAWAY frame that says that nothing went wrong. */
export function spdyGoAway(lastStreamId: number): Uint8Array {
  const frame = Buffer.from([0x80, 3, 0, CONTROL.goAway, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0])
  frame.writeUInt32BE(lastStreamId, FRAME_HEAD_BYTES)
  return frame
}
