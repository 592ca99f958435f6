import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { z } from 'zod'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** The longest text that is opened. */
const MAX_SEALED_LENGTH = 8 * 1024

/**
 * Seals values into text that passes through browsers: nobody else can read or change it, and what was sealed for one purpose
 * does not open for another.
 *
 * AES-256-GCM with a random nonce, good for 2^32 values under one key (NIST SP 800-38D section 8.3).
 */
export class Seal<Value> {
  readonly #key: Buffer
  readonly #shape: z.ZodType<Value>

  /** `master` holds at least 256 bits of secret; the key for the purpose is made of it (RFC 5869). */
  constructor(master: Buffer, purpose: string, shape: z.ZodType<Value>) {
    this.#key = Buffer.from(hkdfSync('sha256', master, '', `postern/oauth/${purpose}`, KEY_BYTES))
    this.#shape = shape
  }

  /** Characters of base64url. */
  seal(value: Value): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES })
    const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
    return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
  }

  /** The value; null for text that was not sealed with this key, for this purpose. */
  open(text: string): Value | null {
    if (text.length > MAX_SEALED_LENGTH) return null
    const bytes = Buffer.from(text, 'base64url')
    // Base64 has several spellings of the same bytes.
    if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== text) return null
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      return this.#shape.safeParse(JSON.parse(opened.toString('utf8'))).data ?? null
    } catch {
      return null
    }
  }
}
