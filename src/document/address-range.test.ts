import { expect, test } from 'vitest'
import { addressRange, createAddressMatcher } from './address-range.ts'

test.each<[range: string, address: string, expected: boolean]>([
  ['10.0.0.0/8', '10.1.2.3', true],
  ['10.0.0.0/8', '11.1.2.3', false],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['10.0.0.0/8', '::ffff:a01:203', true],
  ['10.0.0.0/8', '::a01:203', false],
  ['192.0.2.7', '192.0.2.7', true],
  ['192.0.2.7', '192.0.2.8', false],
  ['0.0.0.0/0', '203.0.113.1', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['2001:db8::/32', '2001:0DB8::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['::1', '::1', true],
])('%s and %s: %s', (range, address, expected) => {
  expect(addressRange.safeParse(range).success).toBe(true)
  expect(createAddressMatcher([range])(address)).toBe(expected)
})

test('any of several is enough, and none has nothing', () => {
  expect(createAddressMatcher(['10.0.0.0/8', '192.0.2.0/24'])('192.0.2.1')).toBe(true)
  expect(createAddressMatcher([])('192.0.2.1')).toBe(false)
})

test.each(['', '10.0.0.0/33', '::/129', '10.0.0', '10.0.0.0/', 'localhost', '10.0.0.0/8 ', '*', 'fe80::1%eth0'])(
  '%j is no range',
  (text) => {
    expect(addressRange.safeParse(text).success).toBe(false)
    expect(() => createAddressMatcher([text])).toThrow(TypeError)
  },
)

test.each(['', 'localhost', '10.0.0.1:80', '[::1]'])(
  '%j is no address, which is not the same as one outside',
  (text) => {
    expect(() => createAddressMatcher(['10.0.0.0/8'])(text)).toThrow(TypeError)
  },
)
