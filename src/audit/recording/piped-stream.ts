import { createHash, type Hash } from 'node:crypto'
import type { ElidedBytes } from './recording-manifest.ts'
import { TarAccount, type ArchiveEntry } from './tar-account.ts'
import { parseTarHeader, TAR_BLOCK_BYTES } from './tar-header.ts'
import { isText, TextScanner } from './text-scanner.ts'

/** Told what a stream carries, in order. */
export interface PipedStreamObserver {
  /** Valid UTF-8, valid during the call. */
  text(text: Uint8Array): void
  /** What is elided from here on, or was until here: one sentence. */
  note(sentence: string): void
  entry(entry: ArchiveEntry): void
}

/** Binary bytes are looked at in pieces of so many: one that is text ends the elision. */
const PIECE_BYTES = 1024

/** Bytes of text from the beginning of a stream after which it is not hashed any more. */
const MAX_HASHED_TEXT_BYTES = 1_048_576

/**
 * A stream of a session without a terminal: text is shown, a tar archive is listed, and other bytes are counted and
 * hashed. All of this is decided by the bytes alone, however they are split, but for {@link pause}.
 */
export class PipedStream {
  readonly #stream: ElidedBytes['stream']
  readonly #observer: PipedStreamObserver
  /** Whether text is shown. */
  readonly #shown: boolean
  #mode: 'head' | 'text' | 'binary' | 'archive' = 'head'
  #offset = 0
  /** The first block, which may be the header of an archive. From its first NUL on it is not shown until that is known. */
  readonly #head = Buffer.alloc(TAR_BLOCK_BYTES)
  #headBytes = 0
  #shownHeadBytes = 0
  #headHolds = false
  readonly #scanner = new TextScanner(true)
  readonly #piece = Buffer.alloc(PIECE_BYTES)
  #pieceBytes = 0
  #binaryRunBytes = 0
  #binaryBytes = 0
  #binaryFirstByte = 0
  #archive: TarAccount | null = null
  #archiveFirstByte = 0
  #archiveBytes = 0
  #archiveNote = ''
  #hash: Hash | null = createHash('sha256')
  #hashedFromByte = 0
  #digest = ''
  readonly #resumed: boolean

  /**
   * @param shown whether text is told; of a stream that is not, archives are listed all the same.
   * @param resumedAtByte where in an archive the stream begins, when its command says so; else 0.
   */
  constructor(stream: ElidedBytes['stream'], observer: PipedStreamObserver, shown: boolean, resumedAtByte = 0) {
    this.#stream = stream
    this.#observer = observer
    this.#shown = shown
    this.#resumed = resumedAtByte > 0
    if (this.#resumed) {
      this.#archiveNote = `It begins at byte ${resumedAtByte} of an archive.`
      this.#beginArchive(resumedAtByte)
    }
  }

  /** Whether bytes wait for more of them before it is told what they are. */
  get waits(): boolean {
    return this.#pieceBytes > 0 || (this.#mode === 'head' && this.#headHolds && this.#shown)
  }

  push(chunk: Uint8Array): void {
    if (this.#mode !== 'archive' || this.#resumed) this.#hash?.update(chunk)
    this.#tell(chunk)
    const isPlain = this.#mode === 'text' && this.#binaryBytes === 0 && this.#shown
    if (isPlain && this.#offset - this.#hashedFromByte > MAX_HASHED_TEXT_BYTES) this.#hash = null
  }

  /** For a while nothing came: tells what waits as well as can be known now. */
  pause(): void {
    if (this.#mode === 'head') {
      this.#headHolds = false
      this.#showHead()
    } else if (this.#mode === 'binary' && this.#pieceBytes > 0) {
      const piece = this.#piece.subarray(0, this.#pieceBytes)
      this.#pieceBytes = 0
      if (isText(piece)) this.#endBinary(piece)
      else this.#binaryRunBytes += piece.length
    }
  }

  end(): void {
    if (this.#mode === 'archive') {
      const rest = this.#archive?.end() ?? new Uint8Array()
      this.#archiveBytes -= rest.length
      this.#offset -= rest.length
      this.#endArchive(rest)
      this.#tell(rest)
    }
    this.pause()
    if (this.#mode === 'binary') this.#endRun()
    else {
      const cut = this.#scanner.end()
      if (cut.length > 0) this.#observer.text(cut)
    }
    this.#digest = this.#hash === null ? '' : 'sha256:' + this.#hash.digest('hex')
    this.#hash = null
  }

  /** Of a stream that ended. */
  get elided(): readonly ElidedBytes[] {
    const hashed = { hash: this.#digest, hashedFromByte: this.#hashedFromByte }
    const common = { stream: this.#stream, note: '' }
    const elided: ElidedBytes[] = []
    if (this.#archive !== null) {
      elided.push({
        ...common,
        kind: 'archive',
        firstByte: this.#archiveFirstByte,
        byteLength: this.#archiveBytes,
        ...(this.#resumed ? hashed : { hash: '', hashedFromByte: 0 }),
        note: [this.#archiveNote, this.#archive.damage].filter((note) => note !== '').join(' '),
      })
    }
    if (this.#binaryBytes > 0) {
      const firstByte = this.#binaryFirstByte
      elided.push({ ...common, kind: 'binary', firstByte, byteLength: this.#binaryBytes, ...hashed })
    }
    const inputBytes = this.#shown ? 0 : this.#offset - this.#archiveBytes
    if (inputBytes > 0) {
      const firstByte = this.#hashedFromByte
      elided.push({ ...common, kind: 'input', firstByte, byteLength: inputBytes, ...hashed })
    }
    return elided
  }

  #tell(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0) {
      const { length } = rest
      if (this.#mode === 'head') rest = this.#pushHead(rest)
      else if (this.#mode === 'text') rest = this.#pushText(rest)
      else if (this.#mode === 'binary') rest = this.#pushBinary(rest)
      else rest = this.#pushArchived(rest)
      this.#offset += length - rest.length
    }
  }

  #pushHead(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, TAR_BLOCK_BYTES - this.#headBytes)
    this.#head.set(taken, this.#headBytes)
    const isFirstNul = !this.#head.subarray(0, this.#headBytes).includes(0) && taken.includes(0)
    this.#headBytes += taken.length
    const rest = chunk.subarray(taken.length)
    if (isFirstNul) {
      this.#headHolds = true
      this.#showHead(this.#head.indexOf(0))
    } else if (!this.#headHolds) this.#showHead()
    if (this.#headBytes < TAR_BLOCK_BYTES) return rest
    if (parseTarHeader(this.#head) === null) {
      this.#showHead()
      this.#mode = 'text'
    } else {
      this.#archiveFirstByte = this.#shownHeadBytes
      this.#archiveBytes = TAR_BLOCK_BYTES - this.#shownHeadBytes
      this.#hash = null
      this.#beginArchive(0).push(this.#head)
    }
    return rest
  }

  #showHead(end = this.#headBytes): void {
    if (!this.#shown) return
    const piece = this.#head.subarray(this.#shownHeadBytes, end)
    this.#shownHeadBytes = end
    if (piece.length > 0) this.#pushText(piece)
  }

  /** Returns the bytes from where they are binary on. */
  #pushText(chunk: Uint8Array): Uint8Array {
    if (!this.#shown) return new Uint8Array()
    const { text, consumed } = this.#scanner.push(chunk)
    if (text.length > 0) this.#observer.text(text)
    if (consumed === chunk.length) return new Uint8Array()
    const rest = chunk.subarray(consumed)
    const firstByte = this.#offset + consumed
    this.#mode = 'binary'
    if (this.#binaryBytes === 0) this.#binaryFirstByte = firstByte
    if (this.#hash === null) {
      this.#hash = createHash('sha256').update(rest)
      this.#hashedFromByte = firstByte
    }
    this.#observer.note(`What ${this.#stream} carries from here on is no text and not shown.`)
    return rest
  }

  /** Returns the bytes from where they are text again. */
  #pushBinary(chunk: Uint8Array): Uint8Array {
    let rest = chunk
    if (this.#pieceBytes > 0) {
      const taken = rest.subarray(0, PIECE_BYTES - this.#pieceBytes)
      this.#piece.set(taken, this.#pieceBytes)
      this.#pieceBytes += taken.length
      rest = rest.subarray(taken.length)
      if (this.#pieceBytes < PIECE_BYTES) return rest
      this.#pieceBytes = 0
      if (isText(this.#piece)) {
        this.#endBinary(this.#piece)
        return rest
      }
      this.#binaryRunBytes += PIECE_BYTES
    }
    while (rest.length >= PIECE_BYTES) {
      if (isText(rest.subarray(0, PIECE_BYTES))) {
        this.#endBinary(new Uint8Array())
        return rest
      }
      this.#binaryRunBytes += PIECE_BYTES
      rest = rest.subarray(PIECE_BYTES)
    }
    this.#piece.set(rest)
    this.#pieceBytes = rest.length
    return new Uint8Array()
  }

  #endBinary(text: Uint8Array): void {
    this.#endRun()
    this.#scanner.end()
    this.#mode = 'text'
    this.#pushText(text)
  }

  #endRun(): void {
    this.#observer.note(`${this.#binaryRunBytes} bytes of ${this.#stream} that are no text were not shown.`)
    this.#binaryBytes += this.#binaryRunBytes
    this.#binaryRunBytes = 0
  }

  #beginArchive(resumedAtByte: number): TarAccount {
    this.#mode = 'archive'
    this.#archive = new TarAccount((entry) => {
      this.#observer.entry(entry)
    }, resumedAtByte)
    this.#observer.note(`What ${this.#stream} carries from here on is a tar archive, listed and not shown.`)
    return this.#archive
  }

  /** Returns the bytes behind the archive; when it is damaged, from its last header on. */
  #pushArchived(chunk: Uint8Array): Uint8Array {
    const rest = this.#archive?.push(chunk) ?? new Uint8Array()
    this.#archiveBytes += chunk.length - rest.length
    if (rest.length > 0) this.#endArchive(rest)
    return rest
  }

  #endArchive(rest: Uint8Array): void {
    const damage = this.#archive?.damage ?? ''
    const sentence = `${this.#archiveBytes} bytes of a tar archive on ${this.#stream} were not shown. ${damage}`
    this.#observer.note(sentence.trimEnd())
    this.#mode = 'text'
    if (this.#hash !== null) return
    this.#hash = createHash('sha256').update(rest)
    this.#hashedFromByte = this.#archiveFirstByte + this.#archiveBytes
  }
}
