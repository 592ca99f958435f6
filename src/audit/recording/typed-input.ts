import { StringDecoder } from 'node:string_decoder'
import type { InputMasking } from './input-masking.ts'

/** How long after a key its echo counts as such, in milliseconds. */
export const ECHO_WINDOW_MS = 300

/** Typed characters whose echo is awaited; the oldest of more are masked. */
const MAX_AWAITED = 4096

/** Characters of an escape sequence that a key sends. */
const MAX_SEQUENCE_CHARS = 32

/** A key, in the order of typing: `awaited` until the terminal echoed it, or did not. */
interface Key {
  readonly text: string
  readonly isLineEnd: boolean
  readonly atMs: number
  state: 'awaited' | 'clear' | 'hidden'
}

/**
 * What is typed at a terminal, as it may be recorded. A character is written only when the terminal's output showed it
 * next, and soon; else it is masked, and so is what follows it on the line. Control keys are written as they are. Lines
 * are told when they end.
 *
 * That a terminal echoes cannot be seen but in its output: where an editor or a shell draws more than the character
 * itself, input is masked that need not be.
 */
export class TypedInput {
  readonly #masking: InputMasking
  readonly #onLine: (line: string) => void
  readonly #typed = new StringDecoder('utf8')
  #keys: Key[] = []
  /** How many of the keys are; the first is, when there is one. */
  #awaited = 0
  /** Whether a character of the line was not echoed. */
  #lineHidden = false
  #typedSequence = ''
  #screen = new ScreenText()
  #spaceBefore = false

  constructor(masking: InputMasking, onLine: (line: string) => void) {
    this.#masking = masking
    this.#onLine = onLine
  }

  /** Whether the echo of a key is awaited. */
  get waits(): boolean {
    return this.#keys.length > 0
  }

  typed(chunk: Uint8Array, atMs: number): void {
    this.expire(atMs)
    for (const character of this.#typed.write(chunk)) this.#key(character, atMs)
    this.#release()
  }

  /** The terminal's output, valid UTF-8. */
  shown(text: Uint8Array, atMs: number): void {
    this.expire(atMs)
    if (this.#awaited === 0) return
    for (const character of Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('utf8')) {
      if (this.#screen.push(character)) this.#match(character)
      if (this.#awaited === 0) break
    }
  }

  /** Masks what was typed too long ago. */
  expire(nowMs: number): void {
    const first = this.#keys[0]
    if (first !== undefined && nowMs - first.atMs > ECHO_WINDOW_MS) this.#hideAwaited()
  }

  end(): void {
    this.#hideAwaited()
    const line = this.#masking.endLine('')
    if (line !== '') this.#onLine(line)
  }

  #key(character: string, atMs: number): void {
    if (this.#continuesSequence(character)) this.#push(character, false, atMs, 'clear')
    else if (character === '\r' || character === '\n') {
      // A line's end is awaited to keep what was typed before it apart from what comes after.
      this.#push(character, true, atMs, this.#awaited > 0 ? 'awaited' : 'clear')
    } else if (character === '\u0003' || character === '\u0004') this.#push(character, true, atMs, 'clear')
    else if (character < ' ' || character === '\u007f') this.#push(character, false, atMs, 'clear')
    else this.#push(character, false, atMs, this.#lineHidden ? 'hidden' : 'awaited')
    if (this.#awaited > MAX_AWAITED) this.#hideAwaited()
  }

  #push(text: string, isLineEnd: boolean, atMs: number, state: Key['state']): void {
    this.#keys.push({ text, isLineEnd, atMs, state })
    if (state === 'awaited') this.#awaited++
    if (isLineEnd && this.#awaited === 0) this.#lineHidden = false
  }

  /** Whether the character is of an escape sequence that a key sends, such as `ESC [ A`. */
  #continuesSequence(character: string): boolean {
    const before = this.#typedSequence
    this.#typedSequence = ''
    if (character === '\u001b') this.#typedSequence = character
    else if (before === '' || before.length === MAX_SEQUENCE_CHARS) return false
    else if (before.length === 1) {
      if (character !== '[' && character !== 'O') return false
      this.#typedSequence = before + character
    } else if (before[1] === '[' && character >= ' ' && character <= '?') this.#typedSequence = before + character
    else return character >= '@' && character <= '~'
    return true
  }

  #match(shown: string): void {
    const isLineEnd = shown === '\r' || shown === '\n'
    if (this.#spaceBefore && shown === '\r') {
      // How a line editor steps to the next row at the margin.
      this.#spaceBefore = false
      return
    }
    if (isLineEnd) {
      if (this.#keys[0]?.isLineEnd === true) this.#settleFirst()
      else if (shown === '\r' || this.#screen.previous !== '\r') this.#hideAwaited()
      return
    }
    while (this.#keys[0]?.isLineEnd === true) this.#settleFirst()
    const next = this.#keys[0]
    if (next === undefined) return
    if (this.#spaceBefore) this.#hideAwaited()
    else if (next.text === shown) this.#settleFirst()
    else if (shown === ' ') this.#spaceBefore = true
    else this.#hideAwaited()
  }

  #settleFirst(): void {
    const first = this.#keys[0]
    if (first === undefined) return
    first.state = 'clear'
    this.#awaited--
    this.#release()
  }

  #hideAwaited(): void {
    for (const key of this.#keys) {
      if (key.isLineEnd) this.#lineHidden = false
      if (key.state === 'awaited') key.state = key.isLineEnd ? 'clear' : 'hidden'
      if (key.state === 'hidden') this.#lineHidden = true
    }
    this.#awaited = 0
    this.#release()
  }

  /** Hands on the keys before the first that is awaited. */
  #release(): void {
    for (let key = this.#keys[0]; key !== undefined && key.state !== 'awaited'; key = this.#keys[0]) {
      this.#keys.shift()
      if (key.isLineEnd) this.#onLine(this.#masking.endLine(key.text))
      else if (key.state === 'hidden') this.#masking.hide()
      else this.#masking.add(key.text)
    }
    if (this.#awaited > 0) return
    this.#spaceBefore = false
    this.#screen = new ScreenText()
  }
}

/** Tells the text of a terminal's output from its escape sequences. */
class ScreenText {
  #state: 'text' | 'escape' | 'control' | 'string' = 'text'
  #last = ''
  /** The character before the last one. */
  previous = ''

  /** Whether the character is text, or ends a line. */
  push(character: string): boolean {
    this.previous = this.#last
    this.#last = character
    switch (this.#state) {
      case 'text':
        if (character === '\u001b') this.#state = 'escape'
        return (character >= ' ' && character !== '\u007f') || character === '\r' || character === '\n'
      case 'escape':
        if (character === '[') this.#state = 'control'
        else if (']PX^_'.includes(character)) this.#state = 'string'
        else if (character < ' ' || character > '/') this.#state = 'text'
        return false
      case 'control':
        if (character >= '@' && character <= '~') this.#state = 'text'
        return false
      case 'string':
        if (character === '\u0007') this.#state = 'text'
        else if (character === '\u001b') this.#state = 'escape'
        return false
    }
  }
}
