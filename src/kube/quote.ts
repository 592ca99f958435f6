/** Most characters of untrusted text that {@link excerpt} shows. */
export const MAX_EXCERPT_CHARACTERS = 64

const NOT_PRINTABLE = /["\\\p{C}\p{Z}]/gu
const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
])

/**
 * Quotes text the way Go's `%q` does, so that messages read as Kubernetes' own and hold no control,
 * format or line-separating character.
 *
 * @see Go `strconv.Quote`
 */
export function quote(text: string): string {
  return `"${text.replace(NOT_PRINTABLE, (character) => (character === ' ' ? ' ' : escapeCharacter(character)))}"`
}

/** Quotes the beginning of untrusted text for an error message; `…` stands for what was cut off. */
export function excerpt(text: string, maxCharacters = MAX_EXCERPT_CHARACTERS): string {
  return text.length <= maxCharacters ? quote(text) : `${quote(text.slice(0, maxCharacters))}…`
}

/** Renders one character as a Go escape: `\n`, `\x1b`, `\u202e`, `\U000e0001`. */
export function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES.get(character)
  if (short !== undefined) return short
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}
