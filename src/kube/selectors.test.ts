import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { isInt64, isLabelSelector, requiredFieldValue } from './selectors.ts'

describe('the name that a field selector requires', () => {
  test.each([
    ['', undefined],
    ['metadata.name=a', 'a'],
    ['metadata.name==a', 'a'],
    ['metadata.name!=a', undefined],
    ['metadata.name=', ''],
    ['metadata.namespace=a', undefined],
    ['metadata.name =a', undefined],
    ['metadata.name= a', ' a'],
    [',metadata.name=a,', 'a'],
    ['spec.nodeName=n,metadata.name=a', 'a'],
    ['metadata.name!=a,metadata.name=b', 'b'],
    ['metadata.name=b,metadata.name=a', 'a'],
    ['metadata.name=b,metadata.name==c', 'c'],
    ['metadata.name=b,metadata.name=', ''],
    ['metadata.name=a,foo', undefined],
    ['foo,metadata.name=a', undefined],
    ['metadata.name=a=b', undefined],
    ['metadata.name===a', undefined],
    ['metadata.name=a\\,b', 'a,b'],
    ['metadata.name=a\\=b\\\\', 'a=b\\'],
    ['metadata.name=a\\b', undefined],
    ['metadata.name=a\\', undefined],
    ['metadata\\.name=a', undefined],
    ['a\\,metadata.name=b', undefined],
    ['=,metadata.name=a', 'a'],
    ['!=,metadata.name=a', 'a'],
    ['metadata.name=a/b', 'a/b'],
  ])('of %j is %j', (selector, value) => {
    expect(requiredFieldValue(selector, 'metadata.name')).toBe(value)
  })

  test('is the first in order of bytes, not of UTF-16 units', () => {
    expect(['\ue000', '\u{1f600}'].sort()).toStrictEqual(['\u{1f600}', '\ue000'])
    expect(requiredFieldValue('metadata.name=\u{1f600},metadata.name=\ue000', 'metadata.name')).toBe('\ue000')
  })
})

describe('a label selector parses', () => {
  test.each([
    ...['', ' ', '\t\r\n', 'a', '!a', ' ! a ', 'a,b', 'a=b', 'a==b', 'a!=b', 'a = b', 'a=', 'a=,b', 'a!='],
    ...['a in (b)', 'a in (b,c)', 'a notin (b)', 'a in(b)', 'a in ()', 'a in (,)', 'a in (,b,,c,)', 'a\nin\r(b\t)'],
    ...['a>1', 'a<2', 'a > 007', 'a>9223372036854775807', 'in', 'notin', 'in in (in,notin)', 'notin=in'],
    ...['example.com/a', 'a.b-c/D_e.f=g', 'A=B', '1=2', `a=${'x'.repeat(63)}`, `${'p'.repeat(253)}/a`],
  ])('when it is %j', (selector) => {
    expect(isLabelSelector(selector)).toBe(true)
  })
})

describe('a label selector does not parse', () => {
  test.each([
    ...[',', 'a,', ',a', 'a,,b', '!', '!!a', '!a=b', '!a in (b)', 'a b', 'a b c', '=a', '==', 'a===b', 'a=b=c', 'a=!b'],
    ...[
      'a in',
      'a in b',
      'a in (',
      'a in (b',
      'a in (b c)',
      'a in (b)c',
      'a in ((b)',
      'a in (!b)',
      'in (a)',
      '(',
      ')',
      'a)',
    ],
    ...[
      'a>',
      'a>b',
      'a>-1',
      'a>1.5',
      'a>9223372036854775808',
      'a><1',
      'a>=1',
      '-a',
      'a-',
      '_a',
      'a=-b',
      'a=b.',
      'é',
      'a=é',
    ],
    ...[
      '/a',
      'a/',
      'a/b/c',
      'A/b',
      'a..b/c',
      '-a/b',
      'a_b/c',
      `a=${'x'.repeat(64)}`,
      'x'.repeat(64),
      `${'p'.repeat(254)}/a`,
    ],
    ...['a\u00a0', 'a\v=b', 'a&b'],
  ])('when it is %j', (selector) => {
    expect(isLabelSelector(selector)).toBe(false)
  })
})

test.each([
  ['0', true],
  ['-0', true],
  ['+7', true],
  ['0000000000000000000000000000012', true],
  ['9223372036854775807', true],
  ['9223372036854775808', false],
  ['-9223372036854775808', true],
  ['-9223372036854775809', false],
  ['10000000000000000000', false],
  ['', false],
  ['+', false],
  ['--1', false],
  ['1_0', false],
  ['0x10', false],
  ['1e3', false],
  [' 1', false],
  ['１', false],
])('%j as a 64-bit integer: %j', (text, is) => {
  expect(isInt64(text)).toBe(is)
})

test.each([
  ['zeros', () => isInt64(`${'0'.repeat(30_000)}x`)],
  ['commas', () => isLabelSelector(','.repeat(30_000))],
  ['spaces', () => isLabelSelector(`a${' '.repeat(30_000)}b`)],
  ['requirements', () => isLabelSelector('a,'.repeat(15_000))],
  ['values', () => isLabelSelector(`a in (${'b,'.repeat(15_000)}`)],
  ['terms', () => requiredFieldValue('metadata.name=a,'.repeat(2_000), 'metadata.name')],
  ['backslashes', () => requiredFieldValue(`a=${'\\'.repeat(29_999)}`, 'metadata.name')],
])('a selector full of %s costs little', (_name, parse) => {
  const spentMs = cpuStopwatch()
  parse()
  expect(spentMs()).toBeLessThan(300)
})
