import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { DocumentError, inspectDocument, parseDocument, renderMistake } from './document.ts'

const schema = z.strictObject({
  name: z.string(),
  mode: z.enum(['required', 'best-effort', 'off']).optional(),
  port: z.int().min(1).max(65_535).optional(),
  groups: z.array(z.string()).min(1).optional(),
  labels: z.record(z.string().regex(/^[a-z]+$/, { error: 'lower-case letters' }), z.string()).optional(),
  place: z
    .union([z.strictObject({ file: z.strictObject({ path: z.string() }) }), z.strictObject({ env: z.string() })])
    .optional(),
  either: z.union([z.string(), z.array(z.string())]).optional(),
  shape: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('circle'), radius: z.number() }),
      z.strictObject({ type: z.literal('square'), side: z.number() }),
    ])
    .optional(),
  until: z
    .string()
    .refine((text) => text.endsWith('h'), { error: 'has no unit', params: { expected: 'hours' } })
    .optional(),
})

function mistakesIn(text: string): readonly string[] {
  try {
    parseDocument(schema, text, 'a.yaml')
  } catch (error) {
    if (error instanceof DocumentError) return error.mistakes.map(renderMistake)
    throw error
  }
  return []
}

describe('a mistake says where it is, what is wrong and what was expected', () => {
  test.each<[name: string, text: string, mistakes: readonly string[]]>([
    ['nothing at all', '', ['a.yaml:1: is empty, expected an object']],
    ['a list instead', '- a', ['a.yaml:1: is a list, expected an object']],
    ['a missing key', 'mode: off', ['a.yaml:1: name: is missing, expected a string']],
    ['an unquoted number', 'name: 12', ['a.yaml:1: name: is the number 12, expected a string (put it in quotes)']],
    ['an unquoted boolean', 'name: true', ['a.yaml:1: name: is true, expected a string (put it in quotes)']],
    ['an empty value', 'name:', ['a.yaml:1: name: is empty, expected a string']],
    ['text for a number', 'name: a\nport: high', ['a.yaml:2: port: is "high", expected a number']],
    ['a fraction', 'name: a\nport: 1.5', ['a.yaml:2: port: is the number 1.5, expected a whole number']],
    ['a number out of range', 'name: a\nport: 70000', ['a.yaml:2: port: is the number 70000, expected at most 65535']],
    ['an empty list', 'name: a\ngroups: []', ['a.yaml:2: groups: is an empty list, expected at least 1 entry']],
    ['a wrong entry', 'name: a\ngroups:\n- x\n- [y]', ['a.yaml:4: groups[1]: is a list, expected a string']],
    ['text for a structure', 'name: a\nlabels: hush', ['a.yaml:2: labels: is a string, expected an object']],
    ['a wrong key', 'name: a\nlabels:\n  A.b: x', ['a.yaml:3: labels["A.b"]: is "A.b", expected lower-case letters']],
    ['a refinement', 'name: a\nuntil: "8"', ['a.yaml:2: until: has no unit, expected hours']],
    ['a near miss', 'name: a\nmode: requierd', ['a.yaml:2: mode: is "requierd", did you mean "required"?']],
    [
      'a word out of a list',
      'name: a\nmode: maybe',
      ['a.yaml:2: mode: is "maybe", expected one of "required", "best-effort", "off"'],
    ],
    ['a mistyped key', 'name: a\ngruops: [x]', ['a.yaml:2: gruops: unknown key, did you mean "groups"?']],
    ['a key in another case', 'Name: a\nname: a', ['a.yaml:1: Name: unknown key, did you mean "name"?']],
    [
      'an unknown key',
      'name: a\nplace: { file: { path: x, zzz: y } }',
      ['a.yaml:2: place.file.zzz: unknown key, expected path'],
    ],
    [
      'the branch that was meant',
      'name: a\nplace: { file: {} }',
      ['a.yaml:2: place.file.path: is missing, expected a string'],
    ],
    [
      'no branch',
      'name: a\neither: 5',
      ['a.yaml:2: either: is the number 5, expected a string (put it in quotes) or a list'],
    ],
    [
      'a branch by its type',
      'name: a\neither: [5]',
      ['a.yaml:2: either[0]: is the number 5, expected a string (put it in quotes)'],
    ],
    [
      'a discriminator',
      'name: a\nshape: { type: oval }',
      ['a.yaml:2: shape.type: is "oval", expected "circle" or "square"'],
    ],
    [
      'no discriminator',
      'name: a\nshape: { side: 1 }',
      ['a.yaml:2: shape.type: is missing, expected "circle" or "square"'],
    ],
    [
      'the discriminated branch',
      'name: a\nshape: { type: square }',
      ['a.yaml:2: shape.side: is missing, expected a number'],
    ],
  ])('%s', (_, text, mistakes) => {
    expect(mistakesIn(text)).toEqual(mistakes)
  })

  test('all of them at once, in order of line', () => {
    expect(mistakesIn('port: x\nmode: y\nname: z\nname: z\ngroups: 7\nzzz: 1\n')).toEqual([
      'a.yaml:1: port: is "x", expected a number',
      'a.yaml:2: mode: is "y", expected one of "required", "best-effort", "off"',
      'a.yaml:4: name: stands here a second time',
      'a.yaml:5: groups: is the number 7, expected a list',
      'a.yaml:6: zzz: unknown key, expected one of either, groups, labels, mode, name, place, port, shape, until',
    ])
  })

  test('long values are cut', () => {
    expect(mistakesIn(`name: a\nport: ${'x'.repeat(100)}`)[0]).toBe(
      `a.yaml:2: port: is "${'x'.repeat(60)}…", expected a number`,
    )
  })

  test('a mistake is one line whatever the document holds', () => {
    for (const line of mistakesIn('name: a\n"x\\ny\\u2028z\\e[0m": 1')) {
      expect(line).not.toMatch(/[\p{Cc}\u2028]/u)
    }
  })
})

describe('text that is not one plain YAML document', () => {
  test.each<[name: string, text: string, mistake: string]>([
    ['an open bracket', 'name: a\ngroups: [x\n', 'a.yaml:3: is not YAML: '],
    ['a tab as indent', 'place:\n\tenv: a', 'a.yaml:2: is not YAML: Tabs are not allowed as indentation'],
    [
      'two documents',
      'name: a\n---\nname: b',
      'a.yaml:2: a second document begins here, expected one document in a file',
    ],
    ['a directive', '%YAML 1.1\n---\nname: a', 'a.yaml:1: begins with a %YAML directive'],
    ['a tag', 'name: !!binary aGk=', 'a.yaml:1: name: has the tag tag:yaml.org,2002:binary, expected a plain value'],
    ['a tag nobody knows', 'name: !env HOME', 'a.yaml:1: name: has the tag !env, expected a plain value'],
    ['an unknown anchor', 'name: *a', 'a.yaml:1: name: no anchor &a stands before this alias'],
    ['a circle', 'name: a\ngroups: &g [*g]', 'a.yaml:2: groups[0]: *g stands within what it names'],
    ['a merge key', 'name: a\n<<: {port: 1}', 'a.yaml:2: ["<<"]: unknown key'],
    ['a key that is a list', 'name: a\n[x]: 1', 'a.yaml:2: has a key that is not a plain word'],
    ['a prototype', 'name: a\n__proto__: {port: 1}', 'a.yaml:2: has a key that is not a plain word'],
    ['deep nesting', `name: ${'['.repeat(100)}${']'.repeat(100)}`, 'is nested deeper than 64'],
    ['very deep nesting', `name: ${'['.repeat(20_000)}`, 'is nested deeper than 64'],
    ['a long document', `name: ${'x'.repeat(4 * 1024 * 1024)}`, 'a.yaml:1: is longer than 2097152 bytes'],
  ])('%s is refused', (_, text, mistake) => {
    expect(mistakesIn(text).join('\n')).toContain(mistake)
  })

  test('anchors and aliases work, and a mistake behind one has the line of the anchor', () => {
    expect(parseDocument(schema, 'groups: &g [a, b]\neither: *g\nname: n', 'a.yaml').value).toEqual({
      name: 'n',
      groups: ['a', 'b'],
      either: ['a', 'b'],
    })
    expect(mistakesIn('name: n\nplace: &p\n  env: 1\nlabels: *p')).toEqual([
      'a.yaml:3: labels.env: is the number 1, expected a string (put it in quotes)',
      'a.yaml:3: place.env: is the number 1, expected a string (put it in quotes)',
    ])
  })

  test('aliases that multiply are refused', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
      bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join()}]`)
    }
    expect(mistakesIn(bomb.join('\n')).join('\n')).toContain('aliases repeat more than 10000 values')
  })
})

describe('lines', () => {
  const { lineOf } = parseDocument(
    schema,
    '# one\nname:\n  n\nplace:\n  file:\n    path: x\ngroups:\n- a\n\n- b',
    'a.yaml',
  )
  test.each<[path: readonly PropertyKey[], line: number]>([
    [[], 2],
    [['name'], 2],
    [['place'], 4],
    [['place', 'file', 'path'], 6],
    [['groups', 0], 8],
    [['groups', 1], 10],
    [['groups', 9], 7],
    [['place', 'nothing', 'here'], 4],
    [['nothing'], 2],
  ])('%j is on line %i', (path, line) => {
    expect(lineOf(path)).toBe(line)
  })
})

test('what is right can be looked at although something else is wrong', () => {
  const { mistakes, value, sound } = inspectDocument(
    schema,
    'name: 5\nport: 1\nzzz: 1\ngroups: [a, [b], c]\nuntil: x\nplace: { file: { path: p, q: r } }',
    'a.yaml',
  )
  expect(mistakes).toHaveLength(5)
  expect(value).toBeNull()
  expect(sound).toEqual({ port: 1, groups: ['a', undefined, 'c'], place: { file: { path: 'p' } } })
})

test('whatever the text, nothing but a DocumentError is thrown', () => {
  const yamlish = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          'name',
          'place',
          'groups',
          ': ',
          '- ',
          '\n',
          '  ',
          '[',
          ']',
          '{',
          '}',
          ',',
          '&a ',
          '*a',
          '? ',
          '!!str ',
        ),
        fc.constantFrom(
          '"',
          "'",
          '|',
          '>',
          '#',
          '%',
          '---\n',
          '...\n',
          '<<',
          '\t',
          '0x1',
          '.nan',
          '~',
          '\u0000',
          '\ud800',
          '@',
        ),
        fc.string({ maxLength: 4 }),
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join(''))
  const bytes = fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets).toString('latin1'))
  fc.assert(
    fc.property(fc.oneof(yamlish, bytes), (text) => {
      for (const line of mistakesIn(text)) expect(line).toMatch(/^a\.yaml:\d+: ./)
    }),
    { numRuns: 500 },
  )
})
