import { expect, test } from 'vitest'
import { parseChoice } from './choose.ts'

const NAMES = ['production', 'staging', 'dev', '7', 'edge']

test.for([
  ['', NAMES],
  ['  ', NAMES],
  ['all', NAMES],
  ['1', ['production']],
  ['3,1', ['production', 'dev']],
  ['2-4', ['staging', 'dev', '7']],
  ['dev 1', ['production', 'dev']],
  ['7', ['7']],
  ['5-5, staging', ['staging', 'edge']],
] as const)('of several, "%s" means %o', ([answer, names]) => {
  expect(parseChoice(answer, NAMES, true)).toEqual(names)
})

test.for([
  ['', ['production']],
  ['2', ['staging']],
  ['edge', ['edge']],
  ['2 staging', ['staging']],
] as const)('of one, "%s" means %o', ([answer, names]) => {
  expect(parseChoice(answer, NAMES, false)).toEqual(names)
})

test.for([
  ['0', true],
  ['6', true],
  ['4-2', true],
  ['1-6', true],
  ['prod', true],
  ['1;2', true],
  ['-1', true],
  ['1-', true],
  ['all 1', true],
  ['all', false],
  ['1,2', false],
  ['1-2', false],
] as const)('"%s" is asked again (several: %o)', ([answer, several]) => {
  expect(parseChoice(answer, NAMES, several)).toBeNull()
})
