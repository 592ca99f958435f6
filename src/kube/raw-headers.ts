/**
 * Header lines as they stood on the wire: name, value, name, value, … (Node's `rawHeaders`).
 * Names keep their case and repeated lines stay apart; values are latin1 strings, one character a byte.
 */
export type RawHeaders = readonly string[]

/** The values of all lines of this name, which is given in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] ?? ''
    if (candidate.length === name.length && candidate.toLowerCase() === name) values.push(headers[i + 1] ?? '')
  }
  return values
}

/** The members of a comma-separated header, over all its lines in order; empty members are left out. */
export function headerMembers(headers: RawHeaders, name: string): string[] {
  return headerValues(headers, name)
    .flatMap((value) => value.split(','))
    .map(withoutBlanks)
    .filter((member) => member !== '')
}

/** Without spaces and tabs at its ends. */
function withoutBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}
