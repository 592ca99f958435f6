import { expect, test } from 'vitest'
import { defaultCacheDirectory } from '../client/login-cache.ts'
import { parseTokenArguments } from './token-lane.ts'

const cacheDirectory = defaultCacheDirectory(process.env, process.platform)

test('the arguments that kubeconfigs have are read without the command tree', () => {
  expect(parseTokenArguments([])).toEqual({ cacheDirectory })
  expect(parseTokenArguments(['--portal', 'https://p/', '--issuer', 'https://i', '--cache-directory', '/c'])).toEqual({
    portal: 'https://p',
    issuer: 'https://i',
    cacheDirectory: '/c',
  })
})

test.for([
  [['--help']],
  [['--portal']],
  [['--portal', '']],
  [['--portal', '--issuer']],
  [['--portal=https://p']],
  [['extra']],
  [['--portal', 'https://p', '-o', 'json']],
] as const)('%j is left to the command tree', ([args]) => {
  expect(parseTokenArguments(args)).toBeNull()
})
