import { TerminalParser, type ControlSequence } from './terminal-parser.ts'

/** A longer line of output is broken here, in cells. */
const MAX_LINE_CELLS = 8192
const TAB_CELLS = 8

/** What takes two cells: East Asian wide and fullwidth, and pictures. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}/u
/** What joins the character before it. */
const JOINING = /^(?:\p{M}|\p{Emoji_Modifier}|\u200c|\u200d)/u
const LINE_BREAKING = /[\p{Zl}\p{Zp}]/u

/** Sequences that leave the line: up, down, to a row, to a place, reverse and other line feeds. */
const LEAVING = 'ABEFdeHf'

/**
 * Turns what a program sends to a terminal into lines of text. Within a line it does what a terminal does: carriage
 * return, backspace, and what shells edit their line with. A program that goes about the whole screen begins a new line
 * wherever it goes. Resumable: text may be split anywhere.
 */
export class PlainTextRenderer {
  readonly #parser: TerminalParser
  readonly #onLine: (line: string) => void
  /** A wide character is followed by an empty cell. */
  #cells: string[] = []
  #column = 0

  /** @param onLine told every line that is left, without controls and without blanks at its end. */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
    this.#parser = new TerminalParser({
      print: (text) => {
        for (const character of text) this.#put(character)
      },
      control: (character) => {
        this.#control(character)
      },
      escape: (intermediates, final) => {
        if (intermediates === '' && 'cDEM'.includes(final)) this.#leave(0)
      },
      sequence: (sequence) => {
        if (sequence.prefix === '' && sequence.intermediates === '') this.#sequence(sequence)
        else if (sequence.prefix === '?' && 'hl'.includes(sequence.final)) this.#mode(sequence)
      },
    })
  }

  /** UTF-16 units that control strings held so far. */
  get hiddenLength(): number {
    return this.#parser.hiddenLength
  }

  write(text: string): void {
    this.#parser.parse(text)
  }

  /** The line as it stands, without blanks at its end. */
  get line(): string {
    return this.#cells.join('').trimEnd()
  }

  /** Tells the last line, unless it is empty. */
  end(): void {
    this.#leave(0)
  }

  #put(character: string): void {
    if (character >= ' ' && character <= '~') {
      this.#place(character, 1)
      return
    }
    if (LINE_BREAKING.test(character)) return
    if (JOINING.test(character) && this.#column > 0) {
      const before = this.#cells[this.#column - 1] === '' ? this.#column - 2 : this.#column - 1
      this.#cells[before] = ((this.#cells[before] ?? ' ') + character).slice(0, 64)
      return
    }
    this.#place(character, WIDE.test(character) ? 2 : 1)
  }

  #place(character: string, width: 1 | 2): void {
    if (this.#column >= MAX_LINE_CELLS) this.#next(0)
    this.#pad(this.#column)
    this.#cells[this.#column] = character
    if (width === 2) this.#cells[this.#column + 1] = ''
    this.#column += width
  }

  #pad(column: number): void {
    while (this.#cells.length < column) this.#cells.push(' ')
  }

  #control(character: string): void {
    if (character === '\r') this.#column = 0
    else if (character === '\b') this.#column = Math.max(0, this.#column - 1)
    else if (character === '\t') this.#move((Math.floor(this.#column / TAB_CELLS) + 1) * TAB_CELLS)
    else if ('\n\v\f'.includes(character)) this.#next(0)
  }

  /** A line break, whatever the line holds. */
  #next(column: number): void {
    this.#onLine(this.line)
    this.#cells = []
    this.#column = column
  }

  /** To another line; a line without text is not told. */
  #leave(column: number): void {
    if (this.line !== '') this.#onLine(this.line)
    this.#cells = []
    this.#column = column
  }

  #move(column: number): void {
    this.#column = Math.max(0, Math.min(column, MAX_LINE_CELLS))
  }

  #mode({ parameters }: ControlSequence): void {
    if (parameters.some(([mode]) => mode === 47 || mode === 1047 || mode === 1049)) this.#leave(0)
  }

  #sequence({ parameters, final }: ControlSequence): void {
    const given = parameters[0]?.[0] ?? 0
    const count = Math.min(Math.max(1, given), MAX_LINE_CELLS)
    if (LEAVING.includes(final)) {
      const keeps = 'ABde'.includes(final)
      this.#leave(keeps ? this.#column : Math.min(Math.max(0, (parameters[1]?.[0] ?? 1) - 1), MAX_LINE_CELLS))
    } else if (final === 'J' && given >= 2) this.#leave(this.#column)
    else if (final === 'C' || final === 'a') this.#move(this.#column + count)
    else if (final === 'D' || final === 'j') this.#move(this.#column - count)
    else if (final === 'G' || final === '`') this.#move(count - 1)
    else if (final === 'K' || final === 'J') this.#erase(given)
    else if (final === 'X') this.#cells.fill(' ', this.#column, this.#column + count)
    else if (final === 'P') this.#cells.splice(this.#column, count)
    else if (final === '@') this.#insert(count)
    else if (final === 'b')
      for (let times = 0; times < count; times += 1) this.#put(this.#cells[this.#column - 1] || ' ')
  }

  /** As EL: 0 to the end, 1 to the cursor, 2 all. */
  #erase(what: number): void {
    if (what === 0) this.#cells.length = Math.min(this.#cells.length, this.#column)
    else this.#cells.fill(' ', 0, what === 1 ? this.#column + 1 : this.#cells.length)
  }

  #insert(count: number): void {
    this.#pad(this.#column)
    this.#cells.splice(this.#column, 0, ...Array<string>(count).fill(' '))
    this.#cells.length = Math.min(this.#cells.length, MAX_LINE_CELLS)
  }
}
