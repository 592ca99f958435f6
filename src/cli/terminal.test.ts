import { afterEach, expect, test, vi } from 'vitest'
import { printable, printJSON, printTable } from './terminal.ts'

// Attack F1.

afterEach(() => {
  vi.restoreAllMocks()
})

function printed(print: () => void): string {
  let text = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  print()
  return text
}

test.for([
  ['plain text, ünïcode, 名前', 'plain text, ünïcode, 名前'],
  ['\u001b[2J\u0007', '\\x1b[2J\\a'],
  ['two\r\nlines\t', 'two\\r\\nlines\\t'],
  ['\u009b31m\u007f', '\\u009b31m\\x7f'],
  ['\u202egnp.exe\u2066\u2028', '\\u202egnp.exe\\u2066\\u2028'],
] as const)('%j is fit for a terminal', ([text, shown]) => {
  expect(printable(text)).toBe(shown)
})

test('JSON keeps its meaning and holds nothing that a terminal would obey', () => {
  const value = { 'k\u202e': 'a\u009b31m\u007f\u{e0001}\nb', list: [1, null] }
  const text = printed(() => {
    printJSON(value)
  })
  expect(JSON.parse(text)).toEqual(value)
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
})

test('a table has its columns in line, and no cell can leave its place', () => {
  const text = printed(() => {
    printTable(
      ['NAME', 'ACCESS'],
      [
        ['production', 'read'],
        ['x\ny', 'read, exec in default'],
      ],
    )
  })
  expect(text).toBe('NAME         ACCESS\nproduction   read\nx\\ny         read, exec in default\n')
})
