import { expect, test } from 'vitest'
import { CasbinDecider } from './casbin.ts'
import { createPatternCompiler } from './pattern-compiler.ts'

const line = (rule: string, verbs: string, eft: string): string[] => [
  rule,
  '^',
  '^',
  verbs,
  '^',
  '^',
  '^',
  '(?!)',
  '^',
  '(?!)',
  '^',
  eft,
]
const request = [' user:ana ', 'production', 'get', '', 'pods', 'default', 'web', '']
const decider = new CasbinDecider(createPatternCompiler())

test.each<[name: string, lines: string[][], rule: string | null]>([
  ['no lines are no opinion', [], null],
  ['a line that does not match is none', [line('a', '^list$', 'allow')], null],
  ['a line without a rule is none', [line('', '^', 'allow')], null],
  [
    'the last that allows decides',
    [line('a', '^', 'allow'), line('b', '^', 'allow'), line('c', '^list$', 'allow')],
    'b',
  ],
  ['the first that denies decides', [line('a', '^', 'allow'), line('b', '^', 'deny'), line('c', '^', 'deny')], 'b'],
  ['a line of another effect is none', [line('a', '^', 'maybe')], null],
])('%s', (_, lines, rule) => {
  expect(decider.decide(lines, request)).toBe(rule)
  expect(decider.decide([], request)).toBeNull()
})

test('a request with a field too few is an error and no decision', () => {
  expect(() => decider.decide([line('a', '^', 'allow')], request.slice(1))).toThrow('invalid request size')
})
