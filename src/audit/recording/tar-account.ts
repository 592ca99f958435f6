import { createHash, type Hash } from 'node:crypto'
import type { CopiedFile } from './recording-manifest.ts'
import { parsePaxRecords, parseTarHeader, TAR_BLOCK_BYTES, textOf, type TarHeader } from './tar-header.ts'

/** An entry of an archive. The hash is empty for what has no content, and for content that was cut off. */
export type ArchiveEntry = Omit<CopiedFile, 'direction'>

/** Longest long name or extended header that is read, in bytes; the account of an archive with a longer one ends. */
const MAX_EXTENSION_BYTES = 65_536

/** Longest path of an entry in the account, in characters; the rest is cut and marked. */
const MAX_PATH_CHARS = 4096

const TYPES: Readonly<Record<string, ArchiveEntry['type']>> = {
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '5': 'directory',
}

/** Of the types that have no content by definition: links, symlinks, devices, directories, FIFOs. */
const WITHOUT_CONTENT = '123456'

/** What of an archive is expected next. */
type Expected = 'header' | 'extension' | 'content' | 'padding' | 'nothing'

/**
 * Reads the entries of a tar archive as it passes. Nothing but headers is kept. Where readers would differ over what the
 * archive says, or it is damaged, its account ends and says why; it never throws.
 */
export class TarAccount {
  readonly #onEntry: (entry: ArchiveEntry) => void
  #expected: Expected = 'header'
  /** The beginning of a block, or of an extension. */
  readonly #block = Buffer.alloc(TAR_BLOCK_BYTES)
  #blockBytes = 0
  #extension: Buffer[] = []
  /** Of the extension, the content or the padding. */
  #bytesLeft = 0
  #paddingBytes = 0
  #header: TarHeader | null = null
  #hash: Hash | null = null
  /** From extended headers, for the entry that comes next. */
  #longPath: string | null = null
  #nextBytes: number | null = null
  #zeroBlocks = 0
  /** Until the first header of an archive that began elsewhere. */
  #seeking: boolean
  #skipBytes: number
  #damage = ''

  /** @param firstByte where in the archive the stream begins; the first entry is then looked for. */
  constructor(onEntry: (entry: ArchiveEntry) => void, firstByte = 0) {
    this.#onEntry = onEntry
    this.#seeking = firstByte > 0
    this.#skipBytes = (TAR_BLOCK_BYTES - (firstByte % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
  }

  /** Why the archive was not read to its end, one sentence; empty when it was, or may yet be. */
  get damage(): string {
    return this.#damage
  }

  /** Returns the bytes that are not of the archive any more: those behind its end, or from where it is damaged on. */
  push(chunk: Uint8Array): Uint8Array {
    let rest = chunk
    if (this.#skipBytes > 0) {
      const skipped = Math.min(this.#skipBytes, rest.length)
      this.#skipBytes -= skipped
      rest = rest.subarray(skipped)
    }
    while (rest.length > 0) {
      if (this.#expected === 'nothing') return rest
      rest = this.#expected === 'header' ? this.#pushHeader(rest) : this.#pushData(rest)
    }
    return rest
  }

  /** The stream ended. Returns the bytes that are left over: the beginning of what was to be a header. */
  end(): Uint8Array {
    if (this.#expected === 'nothing') return new Uint8Array()
    if (this.#expected === 'content') this.#tell(true)
    const left = this.#block.subarray(0, this.#blockBytes)
    const isPadding = left.every((byte) => byte === 0)
    if (this.#seeking) this.#damage = 'No entry of the archive was found.'
    else if (this.#zeroBlocks === 0) this.#damage = 'The archive was cut off.'
    else if (!isPadding) this.#damage = 'Bytes follow the end of the archive.'
    this.#expected = 'nothing'
    return isPadding ? new Uint8Array() : left
  }

  #pushHeader(chunk: Uint8Array): Uint8Array {
    const taken = Math.min(TAR_BLOCK_BYTES - this.#blockBytes, chunk.length)
    this.#block.set(chunk.subarray(0, taken), this.#blockBytes)
    this.#blockBytes += taken
    const rest = chunk.subarray(taken)
    if (this.#blockBytes < TAR_BLOCK_BYTES) return rest
    this.#blockBytes = 0
    const block = this.#block
    if (block[0] === 0 && !block.some((byte) => byte !== 0)) {
      // The end is two blocks of zeros, then padding to whatever a record is.
      if (!this.#seeking) this.#zeroBlocks++
      return rest
    }
    const header = parseTarHeader(block)
    if (this.#seeking && (header === null || block.toString('latin1', 257, 262) !== 'ustar')) return rest
    this.#seeking = false
    if (this.#zeroBlocks > 1) return this.#stop('Bytes follow the end of the archive.', rest)
    if (header === null) return this.#stop('A header of the archive is damaged.', rest)
    this.#zeroBlocks = 0
    return this.#begin(header) ? rest : this.#stop(this.#damage, rest)
  }

  /** False when the header cannot be followed; the damage says why. */
  #begin(header: TarHeader): boolean {
    const { typeFlag } = header
    const extends_ = 'LKxg'.includes(typeFlag)
    const byteLength = extends_ ? header.byteLength : (this.#nextBytes ?? header.byteLength)
    this.#header = { ...header, path: extends_ ? header.path : (this.#longPath ?? header.path), byteLength }
    this.#bytesLeft = byteLength
    this.#paddingBytes = (TAR_BLOCK_BYTES - (byteLength % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
    if (typeFlag === 'S') return this.#fail('A sparse file in the archive is not read.')
    if (extends_) {
      if (byteLength > MAX_EXTENSION_BYTES) return this.#fail('A name or extended header of the archive is too long.')
      this.#expected = 'extension'
      return byteLength > 0 || this.#extend()
    }
    if (WITHOUT_CONTENT.includes(typeFlag) && byteLength > 0) {
      return this.#fail('An entry of the archive that is no file has content.')
    }
    this.#longPath = null
    this.#nextBytes = null
    const hasContent = !WITHOUT_CONTENT.includes(typeFlag)
    this.#hash = hasContent ? createHash('sha256') : null
    this.#expected = 'content'
    if (byteLength === 0) this.#tell(false)
    return true
  }

  #pushData(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, Math.min(this.#bytesLeft, chunk.length))
    const rest = chunk.subarray(taken.length)
    this.#bytesLeft -= taken.length
    if (this.#expected === 'content') this.#hash?.update(taken)
    else if (this.#expected === 'extension') this.#extension.push(Buffer.from(taken))
    if (this.#bytesLeft > 0) return rest
    if (this.#expected === 'content') this.#tell(false)
    else if (this.#expected === 'extension') {
      if (!this.#extend()) {
        this.#expected = 'nothing'
        return rest
      }
    } else this.#expected = 'header'
    return rest
  }

  /** Takes in a long name or an extended header. False when it cannot be followed. */
  #extend(): boolean {
    const data = Buffer.concat(this.#extension)
    this.#extension = []
    this.#pad()
    const typeFlag = this.#header?.typeFlag
    if (typeFlag === 'L') this.#longPath = textOf(data)
    if (typeFlag !== 'x' && typeFlag !== 'g') return true
    const overrides = parsePaxRecords(data)
    if (overrides === null) return this.#fail('An extended header of the archive cannot be read.')
    if (overrides.sparse) return this.#fail('A sparse file in the archive is not read.')
    if (typeFlag === 'g') {
      // Some readers take a global name or size for that of every entry, some for none.
      const isPlain = overrides.path === null && overrides.byteLength === null
      return isPlain || this.#fail('A global header of the archive names all its entries.')
    }
    this.#longPath = overrides.path ?? this.#longPath
    this.#nextBytes = overrides.byteLength ?? this.#nextBytes
    return true
  }

  #pad(): void {
    this.#bytesLeft = this.#paddingBytes
    this.#expected = this.#bytesLeft > 0 ? 'padding' : 'header'
  }

  #tell(isCutOff: boolean): void {
    const header = this.#header
    if (header === null) return
    const { path, typeFlag, byteLength } = header
    this.#onEntry({
      path: path.length <= MAX_PATH_CHARS ? path : path.slice(0, MAX_PATH_CHARS) + '…',
      type: TYPES[typeFlag] ?? 'other',
      byteLength: byteLength - this.#bytesLeft,
      hash: isCutOff || this.#hash === null ? '' : 'sha256:' + this.#hash.digest('hex'),
    })
    this.#hash = null
    this.#pad()
  }

  #fail(damage: string): false {
    this.#damage = damage
    return false
  }

  /** The header's block is given back with what follows it. */
  #stop(damage: string, rest: Uint8Array): Uint8Array {
    this.#damage = damage
    this.#expected = 'nothing'
    return Buffer.concat([this.#block, rest])
  }
}
