import { UndecodableError } from './session-decoder.ts'
import { MAX_REVEALED_BYTES, WebSocketMask } from './websocket-mask.ts'

/** Most bytes of a message. The API server and the kubelet read no longer ones (golang.org/x/net/websocket). */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const MAX_CONTROL_FRAME_BYTES = 125
/** Two bytes, eight of length, four of masking key. */
const MAX_HEAD_BYTES = 14

/** Told of the messages of one direction, in their order. May throw an UndecodableError. */
export interface WebSocketSink {
  /** A part of a message. How long it is says nothing, only that it is not empty. */
  payload(bytes: MaskedBytes): void
  messageEnded(): void
  /** A close frame came: its sender sends no more messages. */
  closed(): void
  /** False where what the messages carry is in the middle of something, though the message itself is whole. */
  readonly isWhole?: boolean
}

/** Bytes of a payload, masked or not. Valid only during the call that hands them over. */
export interface MaskedBytes {
  readonly length: number
  /** One of them, unmasked. */
  byte(index: number): number
  /** The bytes from `start` on, unmasked, at most {@link MAX_REVEALED_BYTES}; valid until the next call. */
  reveal(start: number, end: number): Uint8Array
}

/** What a direction may contain. */
export interface WebSocketRules {
  /** Clients mask all of their frames, servers none. */
  readonly isMasked: boolean
  /** Whether messages in several frames are let through. */
  readonly allowsFragments: boolean
  readonly allows: ReadonlySet<'text' | 'binary'>
}

/**
 * Splits one direction of a WebSocket (RFC 6455 section 5) into messages; resumable at any byte, and without a copy of
 * what nobody asks for. Extensions are never agreed on, so the reserved bits are zero.
 */
export class WebSocketFrameReader {
  readonly #rules: WebSocketRules
  readonly #sink: WebSocketSink
  readonly #mask = new WebSocketMask()
  readonly #head = Buffer.alloc(MAX_HEAD_BYTES)
  #headBytes = 0
  /** How long the head is, as far as it is known. */
  #headLength = 2
  #opcode = 0
  #isFinal = true
  #frameBytes = 0
  #missing = 0
  #messageBytes = 0
  #isInMessage = false
  #isClosed = false
  #consumed = 0
  #boundary = 0

  constructor(rules: WebSocketRules, sink: WebSocketSink) {
    this.#rules = rules
    this.#sink = sink
  }

  /** How many of the bytes make whole messages and control frames, with which something is whole. */
  get boundary(): number {
    return this.#boundary
  }

  /** Whether a close frame came. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** @throws UndecodableError */
  read(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const length = Math.min(this.#missing > 0 ? this.#missing : this.#headLength - this.#headBytes, bytes.length - at)
      if (this.#missing > 0) this.#readPayload(bytes, at, length)
      else this.#readHead(bytes, at, length)
      at += length
    }
  }

  #readHead(bytes: Uint8Array, at: number, length: number): void {
    for (let i = 0; i < length; i++) this.#head[this.#headBytes + i] = bytes[at + i] ?? 0
    this.#headBytes += length
    this.#consumed += length
    if (this.#headBytes === 2) this.#headLength = this.#checkedHeadLength()
    if (this.#headBytes === this.#headLength) this.#beginFrame()
  }

  #checkedHeadLength(): number {
    const [first = 0, second = 0] = this.#head
    const opcode = first & 0x0f
    const isFinal = (first & 0x80) !== 0
    if ((first & 0x70) !== 0) throw new UndecodableError('a WebSocket frame has a reserved bit set')
    if (second >= 0x80 !== this.#rules.isMasked) throw new UndecodableError('a WebSocket frame is masked wrongly')
    if (opcode >= OPCODE.close) checkControl(opcode, isFinal, second & 0x7f)
    else this.#checkData(opcode, isFinal)
    const length = second & 0x7f
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (this.#rules.isMasked ? 4 : 0)
  }

  #checkData(opcode: number, isFinal: boolean): void {
    if (opcode > OPCODE.binary) throw new UndecodableError('a WebSocket frame has an unknown opcode')
    if ((opcode === OPCODE.continuation) !== this.#isInMessage) {
      throw new UndecodableError('the fragments of a WebSocket message are out of order')
    }
    if (!isFinal && !this.#rules.allowsFragments) {
      throw new UndecodableError('a WebSocket message is in fragments, which servers take for messages')
    }
    if (opcode !== OPCODE.continuation && !this.#rules.allows.has(opcode === OPCODE.text ? 'text' : 'binary')) {
      throw new UndecodableError('a WebSocket message is of the wrong type')
    }
    if (this.#isClosed && this.#rules.isMasked) throw new UndecodableError('data follows the end of a WebSocket')
  }

  #beginFrame(): void {
    const [first = 0, second = 0] = this.#head
    this.#opcode = first & 0x0f
    this.#isFinal = (first & 0x80) !== 0
    this.#frameBytes = this.#missing = payloadLength(this.#head, second & 0x7f)
    if (this.#rules.isMasked) this.#mask.setKey(this.#head.subarray(this.#headLength - 4, this.#headLength))
    this.#headBytes = 0
    this.#headLength = 2
    if (this.#opcode < OPCODE.close) {
      this.#messageBytes += this.#frameBytes
      if (this.#messageBytes > MAX_MESSAGE_BYTES) throw new UndecodableError('a WebSocket message is too long')
      this.#isInMessage = true
    }
    if (this.#missing === 0) this.#endFrame()
  }

  #readPayload(bytes: Uint8Array, at: number, length: number): void {
    if (this.#opcode < OPCODE.close) {
      const start = this.#frameBytes - this.#missing
      this.#sink.payload(
        this.#rules.isMasked ? new Masked(bytes, at, length, start, this.#mask) : new Plain(bytes, at, length),
      )
    }
    this.#consumed += length
    this.#missing -= length
    if (this.#missing === 0) this.#endFrame()
  }

  #endFrame(): void {
    if (this.#opcode === OPCODE.close) {
      this.#isClosed = true
      this.#sink.closed()
    } else if (this.#opcode < OPCODE.close && this.#isFinal) {
      this.#isInMessage = false
      this.#messageBytes = 0
      this.#sink.messageEnded()
    }
    if (!this.#isInMessage && this.#sink.isWhole !== false) this.#boundary = this.#consumed
  }
}

class Plain implements MaskedBytes {
  readonly length: number
  readonly #bytes: Uint8Array
  readonly #at: number

  constructor(bytes: Uint8Array, at: number, length: number) {
    this.#bytes = bytes
    this.#at = at
    this.length = length
  }

  byte(index: number): number {
    return this.#bytes[this.#at + index] ?? 0
  }

  reveal(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(this.#at + start, this.#at + Math.min(end, start + MAX_REVEALED_BYTES))
  }
}

class Masked implements MaskedBytes {
  readonly length: number
  readonly #bytes: Uint8Array
  readonly #at: number
  readonly #position: number
  readonly #mask: WebSocketMask

  constructor(bytes: Uint8Array, at: number, length: number, position: number, mask: WebSocketMask) {
    this.#bytes = bytes
    this.#at = at
    this.length = length
    this.#position = position
    this.#mask = mask
  }

  byte(index: number): number {
    return this.#mask.revealByte(this.#bytes[this.#at + index] ?? 0, this.#position + index)
  }

  reveal(start: number, end: number): Uint8Array {
    const masked = this.#bytes.subarray(this.#at + start, this.#at + Math.min(end, start + MAX_REVEALED_BYTES))
    return this.#mask.reveal(masked, this.#position + start)
  }
}

function checkControl(opcode: number, isFinal: boolean, length: number): void {
  if (opcode > OPCODE.pong) throw new UndecodableError('a WebSocket frame has an unknown opcode')
  const isWellFormed = isFinal && length <= MAX_CONTROL_FRAME_BYTES && !(opcode === OPCODE.close && length === 1)
  if (!isWellFormed) throw new UndecodableError('a WebSocket control frame is malformed')
}

function payloadLength(head: Buffer, short: number): number {
  if (short < 126) return short
  if (short === 126) return head.readUInt16BE(2)
  const high = head.readUInt32BE(2)
  if (high > 0) throw new UndecodableError('a WebSocket message is too long')
  return head.readUInt32BE(6)
}

/** A whole message or close frame as servers send it: unmasked. */
function serverFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const isShort = payload.length < 126
  const isMedium = payload.length < 0x10000
  const head = Buffer.alloc(isShort ? 2 : isMedium ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = isShort ? payload.length : isMedium ? 126 : 127
  if (!isShort && isMedium) head.writeUInt16BE(payload.length, 2)
  if (!isMedium) head.writeUInt32BE(payload.length, 6)
  return Buffer.concat([head, payload])
}

/** A message from the server. */
export function webSocketMessage(type: 'text' | 'binary', payload: Uint8Array): Uint8Array {
  return serverFrame(OPCODE[type], payload)
}

/** The server's close frame with the code 1000, the only one that kubectl takes for a proper end. */
export function webSocketClose(): Uint8Array {
  return serverFrame(OPCODE.close, Buffer.from([0x03, 0xe8]))
}
