import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { choice } from './choice.ts'
import { inspectDocument, renderMistake } from './document.ts'

const place = choice({
  file: z.strictObject({ path: z.string(), lines: z.int() }),
  server: z.strictObject({ url: z.string() }),
  nowhere: z.strictObject({}),
})
const schema = z.strictObject({ place })

test.each<[name: string, text: string, mistakes: readonly string[]]>([
  ['one branch', 'place: { file: { path: a, lines: 1 } }', []],
  ['an empty branch', 'place: { nowhere: {} }', []],
  [
    'the mistakes within the branch that is written, and no other',
    'place: { file: { lines: x } }',
    ['a:1: place.file.lines: is "x", expected a number', 'a:1: place.file.path: is missing, expected a string'],
  ],
  [
    'two branches',
    'place: { nowhere: {}, file: { path: a, lines: 1 } }',
    ['a:1: place: has file and nowhere, expected exactly one of file, server, nowhere'],
  ],
  [
    'two branches with a mistake in one',
    'place: { nowhere: {}, file: { path: a } }',
    ['a:1: place.file.lines: is missing, expected a number'],
  ],
  ['no branch', 'place: {}', ['a:1: place: is an empty object, expected exactly one of file, server, nowhere']],
  [
    'an unknown branch',
    'place: { cloud: {} }',
    ['a:1: place.cloud: unknown key, expected one of file, nowhere, server'],
  ],
  ['a mistyped branch', 'place: { Server: {} }', ['a:1: place.Server: unknown key, did you mean "server"?']],
  [
    'no object',
    'place: file',
    ['a:1: place: is a string, expected an object with exactly one of file, server, nowhere'],
  ],
  ['nothing', 'place:', ['a:1: place: is empty, expected an object with exactly one of file, server, nowhere']],
])('%s', (_, text, mistakes) => {
  expect(inspectDocument(schema, text, 'a').mistakes.map(renderMistake).toSorted()).toEqual(mistakes)
})

test('the type tells the branches apart', () => {
  const value = place.parse({ server: { url: 'u' } })
  expectTypeOf(value.file?.path).toEqualTypeOf<string | undefined>()
  if (value.server !== undefined) expectTypeOf(value.file).toEqualTypeOf<undefined>()
  expect(value.server?.url).toBe('u')
})

test('its JSON Schema asks for one key', () => {
  expect(z.toJSONSchema(place, { io: 'input' })).toMatchObject({
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: { server: { required: ['url'] } },
  })
})
