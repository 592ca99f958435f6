import { styleText } from 'node:util'
import { escapeCharacter } from '../kube/quote.ts'

/** Control, format and line-separating characters, and those that turn the direction of writing. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Text from elsewhere, fit for one line of a terminal: what would move the cursor or break the line shows as an escape. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter)
}

/** Prints one line `postern: MESSAGE` to stderr; colored on a terminal unless NO_COLOR is set. */
export function printError(message: string): void {
  const name = styleText('red', 'postern:', { stream: process.stderr })
  process.stderr.write(`${name} ${printable(message)}\n`)
}

/** Prints one line to stderr: what happens, while stdout keeps the result. */
export function printNotice(message: string): void {
  process.stderr.write(`${printable(message)}\n`)
}

/** Prints one line to stdout. */
export function printLine(line: string): void {
  process.stdout.write(`${printable(line)}\n`)
}

/** Prints a value as JSON to stdout, indented, with everything unprintable as `\uXXXX`. */
export function printJSON(value: unknown): void {
  process.stdout.write(`${escapeUnprintable(JSON.stringify(value, null, 2))}\n`)
}

/** JSON with everything unprintable but line breaks as `\uXXXX`. */
export function escapeUnprintable(json: string): string {
  if (!/[^\n -~]/.test(json)) return json
  return json.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** Prints a table to stdout the way kubectl does: upper-case head, columns three spaces apart. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = [head, ...rows].map((row) => row.map(printable))
  const widths = head.map((_name, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  for (const [index, row] of table.entries()) {
    const line = row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
    const text = line.join('   ')
    process.stdout.write(`${index === 0 ? styleText('bold', text, { stream: process.stdout }) : text}\n`)
  }
}
