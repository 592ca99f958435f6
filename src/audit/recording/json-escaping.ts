import { ESCAPED_FORM_BYTES, renderEscapeModule, VECTOR_BYTES } from './escape-module.ts'

/** Most bytes of text that are escaped at a time. */
export const MAX_TEXT_BYTES = 64 * 1024

/** Bytes that the escaped form of a byte takes at most: `\u001b`. */
const MAX_ESCAPED_BYTES = 6

/** Most characters before the text, and behind it. */
const MAX_AFFIX_CHARS = 64

/** Where things are in the memory: the escaped forms, the text, what comes of it. */
const FORMS = 0
const TEXT = FORMS + 256 * ESCAPED_FORM_BYTES
const ESCAPED = TEXT + MAX_TEXT_BYTES + VECTOR_BYTES
const ESCAPED_END = ESCAPED + MAX_TEXT_BYTES * MAX_ESCAPED_BYTES + VECTOR_BYTES + 2 * MAX_AFFIX_CHARS
const PAGE_BYTES = 64 * 1024

/** The part of the global that is used here; the types of Node leave it out. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

type Escape = (text: number, end: number, escaped: number) => number

/**
 * Escapes text, which may be gigabytes, for JSON strings: by vectors of sixteen bytes, which JavaScript does not have, for
 * a third of what it costs there. One serves all sessions, as nothing is kept between two calls; each takes 512 KiB.
 */
export class JsonEscaping {
  readonly #memory: Buffer
  readonly #escape: Escape

  constructor() {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(ESCAPED_END / PAGE_BYTES) })
    const module = new WebAssembly.Module(renderEscapeModule())
    this.#escape = new WebAssembly.Instance(module, { js: { memory } }).exports['escape'] as Escape
    this.#memory = Buffer.from(memory.buffer)
    for (let byte = 0; byte < 0x80; byte++) {
      const form = JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
      const at = FORMS + byte * ESCAPED_FORM_BYTES
      this.#memory.write(form, at, 'latin1')
      this.#memory[at + ESCAPED_FORM_BYTES - 1] = form.length
    }
  }

  /**
   * What `JSON.stringify` puts between the quotes, between two pieces of ASCII of at most 64 characters. It is UTF-8
   * that is valid until the next call.
   *
   * @param text valid UTF-8 of at most {@link MAX_TEXT_BYTES}.
   */
  escape(before: string, text: Uint8Array, behind: string): Uint8Array {
    if (text.length > MAX_TEXT_BYTES) throw new RangeError('the text is too long to be escaped at once')
    const memory = this.#memory
    memory.set(text, TEXT)
    memory[TEXT + text.length] = 0
    const begin = ESCAPED + memory.write(before, ESCAPED, MAX_AFFIX_CHARS, 'latin1')
    const end = this.#escape(TEXT, TEXT + text.length, begin)
    return memory.subarray(ESCAPED, end + memory.write(behind, end, MAX_AFFIX_CHARS, 'latin1'))
  }
}
