import { badRequest } from './status.ts'

/** Reads the length-delimited fields of one protobuf message; scalars are skipped. The last of a repeated field counts. */
export class ProtobufFields {
  readonly #fields = new Map<number, Buffer>()

  /**
   * @throws StatusError 400 for bytes that are not a protobuf message.
   * @see Protocol Buffers, Encoding
   */
  constructor(message: Buffer) {
    let at = 0
    while (at < message.length) {
      const tag = readVarint(message, at)
      at = tag.next
      const wireType = tag.value & 7
      if (wireType === 0) at = readVarint(message, at).next
      else if (wireType === 1) at += 8
      else if (wireType === 5) at += 4
      else if (wireType === 2) {
        const length = readVarint(message, at)
        at = length.next + length.value
        if (at <= message.length) this.#fields.set(tag.value >>> 3, message.subarray(length.next, at))
      } else throw malformed()
    }
    if (at !== message.length) throw malformed()
  }

  has(field: number): boolean {
    return this.#fields.has(field)
  }

  /** The message in a field; one without fields when it is missing. */
  message(field: number): ProtobufFields {
    return new ProtobufFields(this.bytes(field))
  }

  /** Empty when it is missing. */
  bytes(field: number): Buffer {
    return this.#fields.get(field) ?? Buffer.alloc(0)
  }

  /**
   * The text in a field; empty when it is missing.
   *
   * @throws StatusError 400 for text that is not UTF-8.
   */
  text(field: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(field))
    } catch (error) {
      throw badRequest('the protobuf body holds text that is not UTF-8', { cause: error })
    }
  }
}

/** Up to 31 bits: no message read here needs more, and a length beyond that is none. */
function readVarint(message: Buffer, start: number): { readonly value: number; readonly next: number } {
  let value = 0
  for (let i = 0; i < 10; i += 1) {
    const byte = message[start + i]
    if (byte === undefined) throw malformed()
    if (i < 4) value += (byte & 0x7f) * 2 ** (7 * i)
    else if ((byte & 0x7f) !== 0 && (i > 4 || byte > 7)) value = Infinity
    else value += (byte & 0x7f) * 2 ** 28
    if (byte < 0x80) return { value, next: start + i + 1 }
  }
  throw malformed()
}

function malformed(): Error {
  return badRequest('the body is not a protobuf message')
}
