import { randomBytes } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { UndecodableError } from './session-decoder.ts'
import { SPDY_DICTIONARY, SPDY_DICTIONARY_ID } from './spdy-dictionary.ts'

/** Most bytes of a header block once it is inflated. */
export const MAX_HEADER_BLOCK_BYTES = 64 * 1024
/** Most headers of a block; Kubernetes sends three. */
export const MAX_HEADERS = 64

/** How far back deflate can point, in bytes. */
const WINDOW_BYTES = 32 * 1024
/** CMF and FLG (RFC 1950), and the id of the dictionary. */
const ZLIB_HEAD_BYTES = 6
/** Two lengths, so that no unfinished block can be made to fit both. */
const PROBE_BYTES = [16, 23]

/** Header names, which are lower case, and values; bytes as latin1. */
export type SpdyHeaders = ReadonlyMap<string, string>

/**
 * Reads the header blocks of one direction in their order. They are one zlib stream, flushed after each block (SPDY
 * Draft 3.1, section 2.6.10.1); what a block may point back to is all that is kept, at most 32 KiB.
 */
export class SpdyHeaderBlocks {
  #window = SPDY_DICTIONARY
  #isFirst = true

  /**
   * @throws UndecodableError for a block that is over a limit, that any reader could take for something else, or that
   * does not end where its frame does.
   */
  read(block: Uint8Array): SpdyHeaders {
    const inflated = inflate(this.#isFirst ? withoutZlibHead(block) : block, this.#window)
    this.#isFirst = false
    this.#window = Buffer.concat([this.#window, inflated]).subarray(-WINDOW_BYTES)
    return parse(inflated)
  }
}

/** Go's reader takes any window size that RFC 1950 knows, and so does this. */
function withoutZlibHead(block: Uint8Array): Uint8Array {
  const head = Buffer.from(block.subarray(0, ZLIB_HEAD_BYTES))
  const isZlib = head.length === ZLIB_HEAD_BYTES && ((head[0] ?? 0) & 0x8f) === 0x08 && head.readUInt16BE(0) % 31 === 0
  const namesDictionary = isZlib && ((head[1] ?? 0) & 0x20) !== 0 && head.readUInt32BE(2) === SPDY_DICTIONARY_ID
  if (!namesDictionary) throw new UndecodableError('the SPDY headers are not compressed as SPDY/3 has it')
  return block.subarray(ZLIB_HEAD_BYTES)
}

/**
 * Inflates what must end at the end of a deflate block and on a byte, as it does after a flush: only then will a
 * reader that keeps its state begin the next frame where this one does. A last block of unforeseeable bytes that is
 * put behind shows it, by coming out whole.
 */
function inflate(deflated: Uint8Array, dictionary: Uint8Array): Uint8Array {
  let inflated: Uint8Array = deflated
  for (const length of PROBE_BYTES) {
    const probe = randomBytes(length)
    const whole = inflateWhole(Buffer.concat([deflated, storedBlock(probe)]), dictionary, length)
    if (!whole.subarray(-length).equals(probe)) throw new UndecodableError(UNFINISHED)
    inflated = whole.subarray(0, -length)
  }
  return inflated
}

const UNFINISHED = 'compressed SPDY headers do not end where their frame ends'

function inflateWhole(input: Uint8Array, dictionary: Uint8Array, probeBytes: number): Buffer {
  const maxOutputLength = MAX_HEADER_BLOCK_BYTES + probeBytes
  try {
    return inflateRawSync(input, { dictionary, maxOutputLength, rejectGarbageAfterEnd: true, chunkSize: 1024 })
  } catch (cause) {
    throw new UndecodableError(UNFINISHED, { cause })
  }
}

/** RFC 1951, section 3.2.4, with BFINAL. */
function storedBlock(bytes: Uint8Array): Uint8Array {
  const block = Buffer.alloc(5 + bytes.length)
  block[0] = 1
  block.writeUInt16LE(bytes.length, 1)
  block.writeUInt16LE(bytes.length ^ 0xffff, 3)
  block.set(bytes, 5)
  return block
}

function parse(inflated: Uint8Array): SpdyHeaders {
  const bytes = Buffer.from(inflated.buffer, inflated.byteOffset, inflated.length)
  let at = 0
  const uint32 = (): number => {
    if (at + 4 > bytes.length) throw new UndecodableError('SPDY headers are cut off')
    at += 4
    return bytes.readUInt32BE(at - 4)
  }
  const text = (): string => {
    const length = uint32()
    if (at + length > bytes.length) throw new UndecodableError('SPDY headers are cut off')
    at += length
    return bytes.toString('latin1', at - length, at)
  }
  const count = uint32()
  if (count > MAX_HEADERS) throw new UndecodableError(`a SPDY frame has more than ${MAX_HEADERS} headers`)
  const headers = new Map<string, string>()
  for (let i = 0; i < count; i++) {
    const name = text()
    const value = text()
    // Which of two is obeyed depends on the reader.
    if (headers.has(name) || value.includes('\0')) throw new UndecodableError('a SPDY header stands more than once')
    if (/[A-Z]/.test(name)) throw new UndecodableError('the name of a SPDY header is not in lower case')
    headers.set(name, value)
  }
  if (at !== bytes.length) throw new UndecodableError('something follows the SPDY headers in their block')
  return headers
}
