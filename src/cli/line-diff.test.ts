import { expect, test } from 'vitest'
import { diffLines } from './line-diff.ts'

test.for([
  ['nothing', 'a\nb\n', 'a\nb\n', []],
  ['lines at the end, with what is before them', '1\n2\n3\n4\n', '1\n2\n3\n4\n5\n6\n', [' 2', ' 3', ' 4', '+5', '+6']],
  ['a line between', '1\n2\n3\n4\n5\n', '1\n2\n3\nx\n4\n5\n', [' 1', ' 2', ' 3', '+x', ' 4', ' 5']],
  ['a line that is another', 'a\nb\nc', 'a\nx\nc', [' a', '-b', '+x', ' c']],
  ['all of it', '', 'a\n', ['+a']],
  ['a line like the one before', 'a\na\n', 'a\na\na\n', [' a', ' a', '+a']],
] as const)('shows %s', ([, before, after, lines]) => {
  expect(diffLines(before, after)).toEqual(lines)
})
