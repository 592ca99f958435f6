/** A control sequence (CSI). */
export interface ControlSequence {
  /** One of `< = > ?`, or empty. */
  readonly prefix: string
  /** In order, each with its subparameters (`38:2:…`); null stands for one that was left out. Each is at most 9,999. */
  readonly parameters: readonly (readonly (number | null)[])[]
  readonly intermediates: string
  readonly final: string
}

/** Told what a terminal is sent. Control strings (OSC, DCS, APC, PM, SOS) are not among it: nobody here obeys them. */
export interface TerminalHandler {
  /** Characters to show: no C0, C1 or DEL among them, nor any that turns the direction of writing. Never empty. */
  print(text: string): void
  /** A C0 character other than ESC, CAN, SUB, SO and SI. */
  control(character: string): void
  /** An escape sequence other than those that select character sets. */
  escape(intermediates: string, final: string): void
  sequence(sequence: ControlSequence): void
}

/** Larger parameters count as this. */
const LARGEST_PARAMETER = 9999
const MAX_PARAMETERS = 32
const MAX_INTERMEDIATES = 2
/** A control string that is longer ends here, in UTF-16 units, so that none hides the rest of a session. */
const MAX_CONTROL_STRING = 65_536

/** C0, DEL and C1, and what turns the direction of writing. */
const SPECIAL = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu
const ESC = '\x1b'
const CAN = '\x18'
const SUB = '\x1a'
const SO = '\x0e'
const SI = '\x0f'
const DEL = '\x7f'
/** What begins a control string behind ESC: DCS, SOS, OSC, PM, APC. */
const STRING_INTRODUCERS = 'PX]^_'

/**
 * DEC Special Graphics, from ` on.
 *
 * @see VT220 Programmer Reference Manual, table 2-4
 */
const LINE_DRAWING = '◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·'

type State = 'ground' | 'escape' | 'sequence' | 'ignored-sequence' | 'string'

/**
 * Parses what a program sends to a terminal. Resumable: text may be split anywhere. Character sets are applied here, so
 * that nobody needs to pass them on; C1 characters are left out, and what follows them is text, as for most terminals
 * that speak UTF-8.
 *
 * @see https://vt100.net/emu/dec_ansi_parser, and xterm's ctlseqs
 */
export class TerminalParser {
  readonly #handler: TerminalHandler
  #state: State = 'ground'
  /** The first half of a character that the text so far ended with. */
  #half = ''
  #prefix = ''
  #intermediates = ''
  #parameters: (number | null)[][] = []
  #stringIsOSC = false
  #stringLength = 0
  /** Whether G0 and G1 are line drawing, and which of them is in use. */
  #lineDrawing: [boolean, boolean] = [false, false]
  #shift: 0 | 1 = 0
  /** UTF-16 units of the control strings that were left out. */
  hiddenLength = 0

  constructor(handler: TerminalHandler) {
    this.#handler = handler
  }

  parse(chunk: string): void {
    const joined = this.#half + chunk
    const last = joined.length - 1
    const isHalf = /[\ud800-\udbff]/.test(joined.charAt(last))
    this.#half = isHalf ? joined.charAt(last) : ''
    const text = isHalf ? joined.slice(0, last) : joined
    for (let index = 0; index < text.length;) {
      if (this.#state === 'ground') {
        SPECIAL.lastIndex = index
        const end = SPECIAL.test(text) ? SPECIAL.lastIndex - 1 : text.length
        if (end > index) this.#print(text.slice(index, end))
        index = end
      }
      if (index < text.length && this.#character(text.charAt(index))) index += 1
    }
  }

  #print(text: string): void {
    const translated = this.#lineDrawing[this.#shift]
      ? text.replaceAll(/[`-~]/g, (character) => LINE_DRAWING.charAt(character.charCodeAt(0) - 0x60))
      : text
    this.#handler.print(translated)
  }

  /** Returns false when the character ended what was begun, and is to be read anew as text. */
  #character(character: string): boolean {
    if (character === ESC) this.#enter('escape')
    else if (character === CAN || character === SUB) this.#state = 'ground'
    else if (this.#state === 'string') this.#inString(character)
    else if (character < ' ') this.#control(character)
    else if (character > '~') {
      const wasGround = this.#state === 'ground'
      if (character !== DEL) this.#state = 'ground'
      return wasGround || character === DEL
    } else if (this.#state === 'escape') this.#inEscape(character)
    else this.#inSequence(character)
    return true
  }

  #enter(state: 'escape' | 'sequence'): void {
    this.#state = state
    this.#prefix = ''
    this.#intermediates = ''
    this.#parameters = []
  }

  #control(character: string): void {
    if (character === SO) this.#shift = 1
    else if (character === SI) this.#shift = 0
    else this.#handler.control(character)
  }

  #inEscape(character: string): void {
    if (character < '0') {
      this.#intermediates = (this.#intermediates + character).slice(0, MAX_INTERMEDIATES)
    } else if (this.#intermediates === '' && character === '[') {
      this.#enter('sequence')
    } else if (this.#intermediates === '' && STRING_INTRODUCERS.includes(character)) {
      this.#state = 'string'
      this.#stringIsOSC = character === ']'
      this.#stringLength = 0
    } else {
      this.#state = 'ground'
      if (this.#intermediates === '(') this.#lineDrawing[0] = character === '0'
      else if (this.#intermediates === ')') this.#lineDrawing[1] = character === '0'
      else this.#handler.escape(this.#intermediates, character)
      if (this.#intermediates === '' && character === 'c') {
        this.#lineDrawing = [false, false]
        this.#shift = 0
      }
    }
  }

  #inSequence(character: string): void {
    if (character >= '@') {
      const complete = this.#state === 'sequence'
      this.#state = 'ground'
      if (!complete) return
      const { parameters, prefix, intermediates } = this.#read()
      this.#handler.sequence({ prefix, parameters, intermediates, final: character })
    } else if (character >= '<') {
      if (this.#prefix === '' && this.#parameters.length === 0 && this.#intermediates === '') this.#prefix = character
      else this.#state = 'ignored-sequence'
    } else if (character >= '0') {
      if (this.#intermediates !== '' || !this.#parameter(character)) this.#state = 'ignored-sequence'
    } else {
      this.#intermediates = (this.#intermediates + character).slice(0, MAX_INTERMEDIATES)
    }
  }

  #read(): Pick<ControlSequence, 'parameters' | 'prefix' | 'intermediates'> {
    return { parameters: this.#parameters, prefix: this.#prefix, intermediates: this.#intermediates }
  }

  /** Returns false when there are more parameters than anybody needs. */
  #parameter(character: string): boolean {
    if (this.#parameters.length === 0) this.#parameters.push([null])
    const last = this.#parameters.at(-1) ?? []
    if (character === ';') this.#parameters.push([null])
    else if (character === ':') last.push(null)
    else last.push(Math.min((last.pop() ?? 0) * 10 + Number(character), LARGEST_PARAMETER))
    return this.#parameters.length <= MAX_PARAMETERS && last.length <= MAX_PARAMETERS
  }

  #inString(character: string): void {
    this.#stringLength += 1
    this.hiddenLength += 1
    const ends = character === '\u009c' || (character === '\x07' && this.#stringIsOSC)
    if (ends || this.#stringLength >= MAX_CONTROL_STRING) this.#state = 'ground'
  }
}
