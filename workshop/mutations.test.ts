import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTATIONS, mutate } from './mutations.ts'

test.each(MUTATIONS)('the text that "$name" replaces stands in its source, once', ({ edits }) => {
  for (const edit of edits) {
    const source = readFileSync(edit.file, 'utf8')
    expect(mutate(source, edit)).not.toBe(source)
  }
})

test('a text that is gone, or there twice, is told', () => {
  const edit = { file: 'a.ts', text: 'x', becomes: 'y' }
  expect(() => mutate('z', edit)).toThrow('a.ts holds this no longer: x')
  expect(() => mutate('x x', edit)).toThrow('a.ts holds this more than once: x')
})
