/** Characters of a line of input that are kept until the line ends; the rest of a longer one is masked. */
const MAX_LINE_CHARS = 4096

/** What is masked in input always: only what stands behind a name such as `password=`, or is unmistakable itself. */
const SECRETS: readonly RegExp[] = [
  /(?<=\b(?:bearer|basic)\s{1,4})[\w.~+/=-]{8,}/gi,
  /(?<![\w-])eyJ[\w-]{4,}\.[\w.-]*/g,
  /(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])/g,
  /(?<=(?:password|passwd|passphrase|pwd|secret|token|credential|access[-_]?key|api[-_]?key)["']?\s{0,4}[=:]\s{0,4}["']?)[^\s"'&;|]+/gi,
  /(?<=--?(?:password|passwd|passphrase|secret|token|api[-_]?key)\s{1,4}["']?)[^\s"'&;|-][^\s"'&;|]*/gi,
  /(?<=:\/\/[^\s:@/]{0,256}:)[^\s@/]+(?=@)/g,
  /(?<=-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----).+/g,
  /^[A-Za-z0-9+/]{64}={0,2}$/g,
]

/**
 * Masks lines of input: each character of what a pattern matches becomes a `*`. A line is held until its end is there,
 * so that no pattern is missed because its match was typed one key at a time.
 */
export class InputMasking {
  readonly #patterns: readonly RegExp[]
  #line = ''
  #beyond = 0
  #maskedCharacters = 0

  /** @param patterns in addition to those for common secrets. Their cost is for whoever writes them to bound. */
  constructor(patterns: readonly RegExp[]) {
    this.#patterns = [...SECRETS, ...patterns].map((pattern) =>
      pattern.global ? pattern : new RegExp(pattern.source, pattern.flags + 'g'),
    )
  }

  /** Characters, counted in code points. */
  get maskedCharacters(): number {
    return this.#maskedCharacters
  }

  /** Adds a character that was not echoed: all that is told of it is that it was typed. */
  hide(): void {
    this.#maskedCharacters++
    this.#append('*')
  }

  /** Adds text without a line's end. */
  add(text: string): void {
    this.#append(text)
  }

  /** Ends the line with what ended it. Returns the line as it may be written. */
  endLine(terminator: string): string {
    let line = this.#line
    for (const pattern of this.#patterns) {
      pattern.lastIndex = 0
      line = line.replace(pattern, (match) => this.#mask(match))
    }
    if (this.#beyond > 0) line += '*'
    this.#line = ''
    this.#beyond = 0
    return line + terminator
  }

  #append(text: string): void {
    const room = MAX_LINE_CHARS - this.#line.length
    if (text.length <= room) this.#line += text
    else {
      this.#line += text.slice(0, room)
      this.#beyond += text.length - room
      this.#maskedCharacters += text.length - room
    }
  }

  #mask(match: string): string {
    let masked = ''
    for (const character of match) {
      if (character !== '*') this.#maskedCharacters++
      masked += '*'
    }
    return masked
  }
}
