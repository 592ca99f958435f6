import { describe, expect, test } from 'vitest'
import { firstValue, parseQuery } from './query.ts'
import { StatusError } from './status.ts'

describe('a query is read once and written in one spelling', () => {
  test.each([
    ['', [], ''],
    ['limit=500', [['limit', '500']], 'limit=500'],
    ['watch', [['watch', '']], 'watch='],
    ['watch=', [['watch', '']], 'watch='],
    ['&&a=b&', [['a', 'b']], 'a=b'],
    ['a=b=c', [['a', 'b=c']], 'a=b%3Dc'],
    ['=b', [['', 'b']], '=b'],
    ['%77atch=1', [['watch', '1']], 'watch=1'],
    ['a=1+2%2B3', [['a', '1 2+3']], 'a=1+2%2B3'],
    ['a=1%202', [['a', '1 2']], 'a=1+2'],
    [
      'command=sh&command=-c',
      [
        ['command', 'sh'],
        ['command', '-c'],
      ],
      'command=sh&command=-c',
    ],
    ['command=a%0Ab', [['command', 'a\nb']], 'command=a%0Ab'],
    ['command=caf%c3%a9', [['command', 'café']], 'command=caf%C3%A9'],
    [
      'ports=80&ports=443',
      [
        ['ports', '80'],
        ['ports', '443'],
      ],
      'ports=80&ports=443',
    ],
    [
      'exclude=a&exclude=b',
      [
        ['exclude', 'a'],
        ['exclude', 'b'],
      ],
      'exclude=a&exclude=b',
    ],
    [
      'dryRun=All&dryRun=All',
      [
        ['dryRun', 'All'],
        ['dryRun', 'All'],
      ],
      'dryRun=All&dryRun=All',
    ],
    ['a=,!()*:/@+', [['a', ',!()*:/@ ']], 'a=%2C%21%28%29%2A%3A%2F%40+'],
    ['a="<>[]\\^`{|}?~', [['a', '"<>[]\\^`{|}?~']], 'a=%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D%3F~'],
    ['__proto__=1', [['__proto__', '1']], '__proto__=1'],
    [
      'Watch=1&watch=0',
      [
        ['Watch', '1'],
        ['watch', '0'],
      ],
      'Watch=1&watch=0',
    ],
  ])('%s', (raw, pairs, canonical) => {
    expect(parseQuery(raw)).toStrictEqual({ query: pairs.map(([name, value]) => ({ name, value })), canonical })
  })
})

describe('a query with two readings is refused', () => {
  test.each([
    ['a semicolon', 'x=1;watch=true', '";" unescaped'],
    ['a fragment', 'a=b#c', '"#" unescaped'],
    ['a malformed escape in a value', 'watch=%zz', 'malformed escape'],
    ['a malformed escape in a name', '%=1', 'malformed escape'],
    ['a value that is not UTF-8', 'fieldSelector=metadata.name%3D%FF', 'malformed escape'],
    ['a NUL', 'labelSelector=%00(((', 'a NUL'],
    ['a space', 'a=b c', '" " unescaped'],
    ['a line break', 'a=b\r\nc', '"\\r" unescaped'],
    ['raw UTF-8', 'a=é', 'unescaped'],
    ['two watches', 'watch=false&watch=true', 'repeats the parameter watch'],
    ['two watches, one of them escaped', 'watch=false&%77atch=true', 'repeats the parameter watch'],
    ['two equal watches', 'watch=1&watch=1', 'repeats the parameter watch'],
    ['two field selectors', 'fieldSelector=a&fieldSelector=b', 'repeats the parameter fieldSelector'],
    ['two label selectors', 'labelSelector=a&x&labelSelector=b', 'repeats the parameter labelSelector'],
    ['two limits', 'limit=1&limit=2', 'repeats the parameter limit'],
    ['two containers', 'container=a&container=b', 'repeats the parameter container'],
    ['two paths', 'path=a&path=b', 'repeats the parameter path'],
    [
      'a log from whoever answers',
      'insecureSkipTLSVerifyBackend=true',
      'insecureSkipTLSVerifyBackend is not let through',
    ],
    [
      'a delete of what cannot be read',
      'ignoreStoreReadError%57ithClusterBreakingPotential=true',
      'Potential is not let through',
    ],
    ['two dry runs that differ', 'dryRun=All&dryRun=None', 'repeats the parameter dryRun'],
    ['two dry runs that agree on something else', 'dryRun=x&dryRun=x', 'repeats the parameter dryRun'],
    ['a dry run that differs later', 'dryRun=All&dryRun=All&dryRun=', 'repeats the parameter dryRun'],
    ['a dry run that differed before', 'dryRun=&dryRun=All', 'repeats the parameter dryRun'],
  ])('%s', (_name, raw, why) => {
    expect(() => parseQuery(raw)).toThrow(StatusError)
    expect(() => parseQuery(raw)).toThrow(why)
  })
})

test('the first value of a name counts', () => {
  const { query } = parseQuery('exclude=a&exclude=b')
  expect(firstValue(query, 'exclude')).toBe('a')
  expect(firstValue(query, 'Exclude')).toBeUndefined()
  expect(firstValue(query, '__proto__')).toBeUndefined()
})
