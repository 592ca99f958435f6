import { UndecodableError } from './session-decoder.ts'

const QUAD = 4
const WHOLE_QUADS = /^[A-Za-z0-9+/]*={0,2}$/

/** Decodes the base64 of one message after the other (RFC 4648 section 4), cut in any place. */
export class Base64Payload {
  /** Up to three characters that do not make bytes yet. */
  #rest = ''
  #isPadded = false

  /** @throws UndecodableError for anything but the alphabet, and for what follows the padding. */
  decode(characters: Uint8Array): Uint8Array {
    if (this.#isPadded) throw malformed()
    const text =
      this.#rest + Buffer.from(characters.buffer, characters.byteOffset, characters.length).toString('latin1')
    const whole = text.length - (text.length % QUAD)
    const quads = text.slice(0, whole)
    this.#rest = text.slice(whole)
    if (!WHOLE_QUADS.test(quads)) throw malformed()
    this.#isPadded = quads.endsWith('=')
    if (this.#isPadded && this.#rest !== '') throw malformed()
    return Buffer.from(quads, 'base64')
  }

  /** The message is whole. @throws UndecodableError when its base64 is not. */
  end(): void {
    if (this.#rest !== '') throw malformed()
    this.#isPadded = false
  }
}

function malformed(): UndecodableError {
  return new UndecodableError('a WebSocket message is not base64')
}
