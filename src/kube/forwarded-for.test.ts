import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { MAX_PROXIES, sourceAddresses } from './forwarded-for.ts'

const isTrusted = (address: string): boolean => address.startsWith('10.') || address === '2001:db8:1::1'
const from = (peer: string, ...values: string[]) =>
  sourceAddresses(
    peer,
    values.flatMap((value) => ['X-Forwarded-For', value]),
    isTrusted,
  )

describe('from a peer that is not trusted', () => {
  test.each(['10.0.0.9', '10.0.0.9, 10.0.0.1', 'x', ''])('%j says nothing', (value) => {
    expect(from('203.0.113.1', value)).toEqual(['203.0.113.1'])
  })

  test('nor does anything from a peer that is gone', () => {
    expect(from('', '10.0.0.9')).toEqual([''])
  })
})

describe('from a trusted peer', () => {
  test.each<[because: string, values: readonly string[], expected: readonly string[]]>([
    ['the nearest untrusted entry is the client', ['203.0.113.1'], ['203.0.113.1', '10.0.0.1']],
    ['what stands before it is a claim', ['10.0.0.9, 203.0.113.1'], ['203.0.113.1', '10.0.0.1']],
    ['trusted entries are proxies', ['203.0.113.1, 10.0.0.2'], ['203.0.113.1', '10.0.0.2', '10.0.0.1']],
    ['only trusted entries: the farthest', ['10.0.0.3, 10.0.0.2'], ['10.0.0.3', '10.0.0.2', '10.0.0.1']],
    [
      'an untrusted one among them ends the way',
      ['10.0.0.3, 203.0.113.1, 10.0.0.2'],
      ['203.0.113.1', '10.0.0.2', '10.0.0.1'],
    ],
    [
      'lines are one list in their order',
      ['10.0.0.9', '203.0.113.1', '10.0.0.2'],
      ['203.0.113.1', '10.0.0.2', '10.0.0.1'],
    ],
    ['no header: the proxy itself', [], ['10.0.0.1']],
    ['an empty one likewise', [''], ['10.0.0.1']],
    ['no blanks are needed', ['10.0.0.9,203.0.113.1\t,\t10.0.0.2 '], ['203.0.113.1', '10.0.0.2', '10.0.0.1']],
    ['ports are left out', ['203.0.113.1:50123, 10.0.0.2:80'], ['203.0.113.1', '10.0.0.2', '10.0.0.1']],
    ['IPv6', ['2001:DB8:0::7, 2001:db8:1:0::1'], ['2001:db8::7', '2001:db8:1::1', '10.0.0.1']],
    ['IPv6 in brackets', ['[2001:db8::7]:443, [2001:db8:1::1]'], ['2001:db8::7', '2001:db8:1::1', '10.0.0.1']],
    ['IPv4 as IPv6 writes it', ['::ffff:203.0.113.1, ::ffff:a00:2'], ['203.0.113.1', '10.0.0.2', '10.0.0.1']],
  ])('%s', (_, values, expected) => {
    expect(from('10.0.0.1', ...values)).toEqual(expected)
    expect(from('::ffff:10.0.0.1', ...values)).toEqual(expected)
  })

  test.each([
    ...['unknown', '_hidden', 'localhost', '"203.0.113.1"', 'for=203.0.113.1', '203.0.113', '203.0.113.256', '1'],
    ...['010.0.0.3', '203.0.113.1:', '203.0.113.1:x', '203.0.113.1:123456', '203.0.113.1/32', '203.0.113.1 10.0.0.3'],
    ...['[10.0.0.3]', '[2001:db8::7', '2001:db8::7]', '[2001:db8::7]443', '2001:db8:::7', 'fe80::7%eth0', ':', '::1::'],
    ...['', ' ', 'é', '10.0.0.3\u00a0', '9'.repeat(10_000)],
  ])('an entry %j ends the way at the proxy that wrote it', (entry) => {
    expect(from('10.0.0.1', `10.0.0.9, ${entry}`)).toEqual(['10.0.0.1'])
    expect(from('10.0.0.1', '10.0.0.9', entry, '10.0.0.2')).toEqual(['10.0.0.2', '10.0.0.1'])
    expect(from('10.0.0.1', `10.0.0.9, ${entry}, 203.0.113.1`)).toEqual(['203.0.113.1', '10.0.0.1'])
  })

  test('the way back is no longer than any has reason to be', () => {
    const proxies = Array.from({ length: 100 }, (_, i) => `10.1.0.${i}`)
    const found = from('10.0.0.1', proxies.join(', '))
    expect(found).toEqual([...proxies.slice(-MAX_PROXIES), '10.0.0.1'])
  })

  test('a head with more lines than are read says nothing, for the last line may be missing', () => {
    const headers = ['X-Forwarded-For', '10.0.0.9', ...Array.from({ length: 200 }, () => 'x')]
    expect(sourceAddresses('10.0.0.1', headers, isTrusted)).toEqual(['10.0.0.1'])
  })

  test('the name of the header is in any case, and no other header counts', () => {
    const headers = ['x-FORWARDED-for', '203.0.113.1', 'Forwarded', 'for=10.0.0.9', 'X-Real-IP', '10.0.0.9']
    expect(sourceAddresses('10.0.0.1', headers, isTrusted)).toEqual(['203.0.113.1', '10.0.0.1'])
  })
})

test('whatever a client writes, its own address is the one that counts', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('10.0.0.9'), fc.constant(''))).map((all) => all.join(', ')),
  )
  fc.assert(
    fc.property(fc.array(line), fc.boolean(), (lines, ownLine) => {
      const written = ownLine ? [...lines, '203.0.113.1'] : [[...lines, '203.0.113.1'].join(', ')]
      expect(from('10.0.0.1', ...written)).toEqual(['203.0.113.1', '10.0.0.1'])
      expect(from('203.0.113.1', ...lines)).toEqual(['203.0.113.1'])
    }),
  )
})

test('many commas cost no more than few', () => {
  const headers = ['X-Forwarded-For', `${','.repeat(1_000_000)}203.0.113.1`]
  const spentMs = cpuStopwatch()
  for (let i = 0; i < 100; i += 1) sourceAddresses('10.0.0.1', headers, isTrusted)
  expect(spentMs()).toBeLessThan(1_000)
})
