import { TerminalParser, type ControlSequence, type TerminalHandler } from './terminal-parser.ts'

/** Of counts and positions: more rows and columns than terminals have, and few enough to repeat. */
const LARGEST_PARAMETER = 1000

/** C0 characters that pass, and those that terminals take for a line feed. */
const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['\b', '\b'],
  ['\t', '\t'],
  ['\n', '\n'],
  ['\r', '\r'],
  ['\v', '\n'],
  ['\f', '\n'],
])

/** Save and restore the cursor, line feed, next line, reverse line feed. */
const ESCAPES = '78DEM'

/** Sequences of so many parameters at most: the cursor, erasing, inserting, deleting, scrolling, repeating. */
const MAX_PARAMETERS: ReadonlyMap<string, number> = new Map([
  ...Array.from('ABCDEFGIZ`adejkPX@LMSTb', (final): [string, number] => [final, 1]),
  ['H', 2],
  ['f', 2],
  ['r', 2],
  ['J', 1],
  ['K', 1],
  ['s', 0],
  ['u', 0],
])

const ALTERNATE_SCREEN = [47, 1047, 1049]
/** DEC private modes that pass: origin, wrapping, the cursor's visibility, the saved cursor, the alternate screen. */
const PRIVATE_MODES = [6, 7, 25, 1048, ...ALTERNATE_SCREEN]
const INSERT_MODE = 4

/** In place of a full reset, which would also empty the history of whoever looks on. */
const SOFT_RESET = '\x1b[m\x1b[4l\x1b[?6l\x1b[?7h\x1b[?25h\x1b[r\x1b[H\x1b[2J'

/**
 * Takes from a recorded terminal stream what only draws: text, colours, the cursor's movements, erasing, scroll regions
 * and the alternate screen. Everything that could act on the terminal of whoever looks on is left out: OSC (clipboard,
 * titles, links) and all other control strings, requests that terminals answer, window operations, printing, modes of
 * keyboard and mouse, character sets (applied instead), the emptying of the history, C1, and characters that turn the
 * direction of writing. Parameters are at most 1,000.
 *
 * Resumable: text may be split anywhere, and what is returned is always whole.
 */
export class TerminalSanitizer {
  readonly #parser: TerminalParser
  #output = ''
  #alternateScreen = 0
  #cursorHidden = false
  #insert = false
  #margins = false
  #origin = false
  #unwrapped = false
  #colored = false

  constructor() {
    const handler: TerminalHandler = {
      print: (text) => {
        this.#output += text
      },
      control: (character) => {
        this.#output += CONTROLS.get(character) ?? ''
      },
      escape: (intermediates, final) => {
        if (intermediates !== '') return
        if (ESCAPES.includes(final)) this.#output += `\x1b${final}`
        else if (final === 'c') this.#reset()
      },
      sequence: (sequence) => {
        this.#sequence(sequence)
      },
    }
    this.#parser = new TerminalParser(handler)
  }

  /** UTF-16 units that control strings held so far, and nobody is shown. */
  get hiddenLength(): number {
    return this.#parser.hiddenLength
  }

  /** What of this text may be shown. A sequence that is not at its end yet comes with a later call, or never. */
  sanitize(text: string): string {
    this.#parser.parse(text)
    const output = this.#output
    this.#output = ''
    return output
  }

  /** What puts the terminal back to how terminals begin, wherever the stream has left it. */
  restoration(): string {
    const positioning = `${this.#margins ? '\x1b[r' : ''}${this.#origin ? '\x1b[?6l' : ''}`
    return [
      this.#alternateScreen === 0 ? '' : `\x1b[?${this.#alternateScreen}l`,
      positioning === '' ? '' : `\x1b7${positioning}\x1b8`,
      this.#insert ? '\x1b[4l' : '',
      this.#unwrapped ? '\x1b[?7h' : '',
      this.#cursorHidden ? '\x1b[?25h' : '',
      this.#colored ? '\x1b[m' : '',
    ].join('')
  }

  #reset(): void {
    this.#output += `${this.#alternateScreen === 0 ? '' : `\x1b[?${this.#alternateScreen}l`}${SOFT_RESET}`
    this.#alternateScreen = 0
    this.#cursorHidden = this.#insert = this.#margins = this.#origin = this.#unwrapped = this.#colored = false
  }

  #sequence({ prefix, parameters, intermediates, final }: ControlSequence): void {
    if (intermediates !== '') return
    if (final === 'm' && prefix === '') {
      this.#colored = parameters.length > 0
      this.#output += `\x1b[${parameters.map((part) => part.map((value) => value ?? '').join(':')).join(';')}m`
      return
    }
    if (parameters.some((part) => part.length > 1)) return
    const values = parameters.map(([value]) => value ?? null)
    if (final === 'h' || final === 'l') this.#modes(prefix, values, final)
    else if (prefix === '') this.#plain(values, final)
  }

  #plain(values: readonly (number | null)[], final: string): void {
    const maximum = MAX_PARAMETERS.get(final)
    if (maximum === undefined || values.length > maximum) return
    if (final === 'J' && (values[0] ?? 0) > 2) return
    if (final === 'r') this.#margins = values.length > 0
    this.#output += `\x1b[${values.map((value) => (value === null ? '' : Math.min(value, LARGEST_PARAMETER))).join(';')}${final}`
  }

  #modes(prefix: string, values: readonly (number | null)[], final: 'h' | 'l'): void {
    for (const mode of values) {
      if (mode === null) continue
      if (prefix === '' && mode === INSERT_MODE) {
        this.#insert = final === 'h'
        this.#output += `\x1b[4${final}`
      } else if (prefix === '?' && PRIVATE_MODES.includes(mode)) {
        this.#privateMode(mode, final === 'h')
        this.#output += `\x1b[?${mode}${final}`
      }
    }
  }

  #privateMode(mode: number, set: boolean): void {
    if (ALTERNATE_SCREEN.includes(mode)) this.#alternateScreen = set ? mode : 0
    else if (mode === 6) this.#origin = set
    else if (mode === 7) this.#unwrapped = !set
    else if (mode === 25) this.#cursorHidden = !set
  }
}
