import { constants, deflateRawSync } from 'node:zlib'
import { SPDY_DICTIONARY } from '../../src/kube/session/spdy-dictionary.ts'

/** Writes the frames of one direction of a SPDY/3.1 connection, well-formed or not. */
export class SpdyWriter {
  #window: Uint8Array = SPDY_DICTIONARY
  #isFirst = true

  /** Deflates a header block as it stands and flushes, as Go's compressor does. */
  deflate(block: Uint8Array, finishFlush = constants.Z_SYNC_FLUSH): Buffer {
    const deflated = deflateRawSync(block, { dictionary: this.#window, finishFlush })
    const head = this.#isFirst ? Buffer.from('78bbe3c6a7c2', 'hex') : Buffer.alloc(0)
    this.#isFirst = false
    this.#window = Buffer.concat([this.#window, block]).subarray(-32 * 1024)
    return Buffer.concat([head, deflated])
  }

  open(id: number, headers: Readonly<Record<string, string>>, flags = 0): Buffer {
    return this.openWith(id, this.deflate(headerBlock(Object.entries(headers))), flags)
  }

  openWith(id: number, deflated: Uint8Array, flags = 0): Buffer {
    return control(1, flags, Buffer.concat([uint32(id), uint32(0), Buffer.alloc(2), deflated]))
  }

  accept(id: number, flags = 0): Buffer {
    return control(2, flags, Buffer.concat([uint32(id), this.deflate(headerBlock([]))]))
  }
}

export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => [uint32(value.length), Buffer.from(value, 'latin1')]
  return Buffer.concat([uint32(headers.length), ...headers.flatMap(([name, value]) => [...text(name), ...text(value)])])
}

export function control(type: number, flags: number, payload: Uint8Array, version = 3): Buffer {
  const head = Buffer.from([0x80 | (version >>> 8), version & 0xff, 0, type, flags, 0, 0, 0])
  head.writeUIntBE(payload.length, 5, 3)
  return Buffer.concat([head, payload])
}

export function data(id: number, payload: string | Uint8Array = '', flags = 0): Buffer {
  const bytes = Buffer.from(payload)
  const head = Buffer.concat([uint32(id), Buffer.from([flags, 0, 0, 0])])
  head.writeUIntBE(bytes.length, 5, 3)
  return Buffer.concat([head, bytes])
}

export function reset(id: number, status = 5): Buffer {
  return control(3, 0, Buffer.concat([uint32(id), uint32(status)]))
}

export function settings(count: number, entries = count): Buffer {
  return control(4, 0, Buffer.concat([uint32(count), Buffer.alloc(8 * entries)]))
}

export const ping = (id: number): Buffer => control(6, 0, uint32(id))
export const goAway = (id: number): Buffer => control(7, 0, Buffer.concat([uint32(id), uint32(0)]))

/** How a WebSocket frame differs from a whole unmasked one. */
export interface FrameOddities {
  readonly key?: readonly number[]
  readonly isPart?: boolean
  readonly reserved?: number
}

export function frame(opcode: number, payload: string | Uint8Array, oddities: FrameOddities = {}): Buffer {
  const { key, isPart = false, reserved = 0 } = oddities
  const bytes = Buffer.from(payload)
  const masked = key === undefined ? 0 : 0x80
  const head = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 0x10000 ? 4 : 10)
  head[0] = (isPart ? 0 : 0x80) | reserved | opcode
  if (head.length === 2) head[1] = masked | bytes.length
  if (head.length === 4) head.writeUInt16BE(bytes.length, 2)
  if (head.length === 10) head.writeUInt32BE(bytes.length, 6)
  if (head.length > 2) head[1] = masked | (head.length === 4 ? 126 : 127)
  if (key === undefined) return Buffer.concat([head, bytes])
  return Buffer.concat([head, Buffer.from(key), bytes.map((byte, index) => byte ^ (key[index % 4] ?? 0))])
}

/** A frame as clients send it. */
export function clientFrame(opcode: number, payload: string | Uint8Array, oddities: FrameOddities = {}): Buffer {
  return frame(opcode, payload, { key: [0x37, 0xfa, 0x21, 0x3d], ...oddities })
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}
