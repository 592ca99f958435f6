import { expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocuments } from './document-stream.ts'
import { renderMistake } from './document.ts'

const schema = z.strictObject({ name: z.string() })

test.each<[name: string, text: string, names: readonly string[]]>([
  ['one document', 'name: a', ['a']],
  ['one with a beginning', '---\nname: a\n', ['a']],
  ['two', 'name: a\n---\nname: b\n', ['a', 'b']],
  ['two with Windows line ends', 'name: a\r\n---\r\nname: b\r\n', ['a', 'b']],
  ['a document on the line of its mark', '--- { name: a }\n--- # second\nname: b', ['a', 'b']],
  ['documents of comments only', '# x\n---\n\n# y\n---\nname: a\n---\n', ['a']],
  ['marks that are none', 'name: "a --- b"\n', ['a --- b']],
  ['marks within a block', 'name: |\n  ---\n  x\n', ['---\nx\n']],
  ['lines that only begin alike', 'name: >-\n  a\n  ----\n', ['a ----']],
])('%s', (_, text, names) => {
  expect(Array.from(inspectDocuments(schema, text, 'a.yaml'), (document) => document.value?.name)).toEqual(names)
})

test('lines count from the top of the file', () => {
  const documents = [...inspectDocuments(schema, '# x\n---\nname: a\n---\n# y\nname: 5\n---\nname: [\n', 'a.yaml')]
  expect(documents[0]?.lineOf(['name'])).toBe(3)
  expect(documents.flatMap(({ mistakes }) => mistakes.map(renderMistake))).toEqual([
    'a.yaml:6: name: is the number 5, expected a string (put it in quotes)',
    expect.stringMatching(/^a\.yaml:[89]: is not YAML/) as string,
  ])
})

test('a file with nothing in it is one empty document', () => {
  for (const text of ['', '\n', '# nothing\n', '---\n---\n']) {
    const mistakes = [...inspectDocuments(schema, text, 'a.yaml')].flatMap((document) => document.mistakes)
    expect(mistakes.length).toBeGreaterThan(0)
  }
})
