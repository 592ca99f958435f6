import { describe, expect, test } from 'vitest'
import { subject } from '../../test/support/policy-requests.ts'
import { DocumentError, parseDocument } from '../document/document.ts'
import { compileConditions, conditionsSchema } from './conditions.ts'

const holds = (
  text: string,
  sourceIP = '10.0.0.1',
  time = '2026-07-01T00:00:00Z',
  extra: Readonly<Record<string, readonly string[]>> = {},
): boolean =>
  compileConditions(parseDocument(conditionsSchema, text, 'c.yaml').value).holds({
    subject: { ...subject('ana'), extra },
    sourceIP,
    atMs: Date.parse(time),
  })

describe('a source address', () => {
  test.each<[range: string, address: string, holds: boolean]>([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['10.0.0.0/8', '::ffff:11.0.0.1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:DB8::/32', '2001:0db8:0:0::1', true],
    ['::/0', '10.0.0.1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
  ])('in %s: %s', (range, address, expected) => {
    expect(holds(`sourceIPs: ["${range}"]`, address)).toBe(expected)
  })

  test('in any of several ranges', () => {
    expect(holds('sourceIPs: [10.0.0.0/8, 192.168.0.0/16]', '192.168.1.1')).toBe(true)
  })

  test.each(['', 'localhost', '10.0.0', '10.0.0.1:443', 'unknown'])('"%s" is none', (address) => {
    expect(() => holds('sourceIPs: [10.0.0.0/8]', address)).toThrow(TypeError)
  })
})

describe('a time of day', () => {
  test.each<[from: string, to: string, timeZone: string, time: string, holds: boolean]>([
    ['08:00', '18:00', 'UTC', '2026-07-01T08:00:00Z', true],
    ['08:00', '18:00', 'UTC', '2026-07-01T07:59:59.999Z', false],
    ['08:00', '18:00', 'UTC', '2026-07-01T17:59:59.999Z', true],
    ['08:00', '18:00', 'UTC', '2026-07-01T18:00:00Z', false],
    ['22:00', '06:00', 'UTC', '2026-07-01T23:00:00Z', true],
    ['22:00', '06:00', 'UTC', '2026-07-01T00:00:00Z', true],
    ['22:00', '06:00', 'UTC', '2026-07-01T06:00:00Z', false],
    ['22:00', '24:00', 'UTC', '2026-07-01T23:59:59Z', true],
    ['22:00', '24:00', 'UTC', '2026-07-01T00:00:00Z', false],
    ['08:00', '18:00', 'Europe/Berlin', '2026-07-01T06:00:00Z', true],
    ['08:00', '18:00', 'Europe/Berlin', '2026-01-01T06:00:00Z', false],
    ['08:00', '18:00', 'Europe/Berlin', '2026-01-01T07:00:00Z', true],
    ['08:00', '18:00', 'Asia/Kolkata', '2026-07-01T02:30:00Z', true],
    ['08:00', '18:00', 'Asia/Kolkata', '2026-07-01T02:29:00Z', false],
  ])('from %s to %s %s at %s', (from, to, timeZone, time, expected) => {
    expect(holds(`timeOfDay: { from: "${from}", to: "${to}", timeZone: ${timeZone} }`, '10.0.0.1', time)).toBe(expected)
  })
})

describe('a weekday', () => {
  test.each<[days: string, timeZone: string, time: string, holds: boolean]>([
    ['monday, friday', 'UTC', '2026-07-03T00:00:00Z', true],
    ['monday, friday', 'UTC', '2026-07-02T23:59:59.999Z', false],
    ['monday, friday', 'UTC', '2026-07-04T00:00:00Z', false],
    ['friday', 'Europe/Berlin', '2026-07-02T22:00:00Z', true],
    ['friday', 'Europe/Berlin', '2026-07-02T21:59:00Z', false],
    ['sunday', 'America/New_York', '2026-07-06T03:59:00Z', true],
  ])('of %s %s at %s', (days, timeZone, time, expected) => {
    expect(holds(`weekdays: { days: [${days}], timeZone: ${timeZone} }`, '10.0.0.1', time)).toBe(expected)
  })
})

describe('a weekday with a time of day is the one on which that time begins', () => {
  const night = (days: string, zone = 'Europe/Berlin', from = '22:00', to = '06:00') =>
    `timeOfDay: { from: "${from}", to: "${to}", timeZone: Europe/Berlin }\nweekdays: { days: [${days}], timeZone: ${zone} }`

  test.each<[what: string, text: string, time: string, holds: boolean]>([
    ['Friday before the night', night('friday'), '2026-07-03T21:59:59.999+02:00', false],
    ['Friday night', night('friday'), '2026-07-03T22:00:00+02:00', true],
    ['the last minute of Friday', night('friday'), '2026-07-03T23:59:59.999+02:00', true],
    ['midnight after Friday', night('friday'), '2026-07-04T00:00:00+02:00', true],
    ['the end of the night on Saturday', night('friday'), '2026-07-04T05:59:59.999+02:00', true],
    ['Saturday after the night', night('friday'), '2026-07-04T06:00:00+02:00', false],
    ['Saturday night', night('friday'), '2026-07-04T22:00:00+02:00', false],
    ['midnight before Friday', night('friday'), '2026-07-03T00:00:00+02:00', false],
    ['early on Friday', night('friday'), '2026-07-03T05:00:00+02:00', false],
    ['early on Friday, which is the night of Thursday', night('thursday'), '2026-07-03T05:00:00+02:00', true],
    ['early on Monday, which is the night of Sunday', night('sunday'), '2026-07-06T05:00:00+02:00', true],
    [
      'a night of 23 hours, late',
      night('friday', 'Europe/Berlin', '00:30', '00:15'),
      '2026-07-04T00:10:00+02:00',
      true,
    ],
    ['a night until midnight', night('friday', 'Europe/Berlin', '22:00', '24:00'), '2026-07-04T00:00:00+02:00', false],
    ['a day', night('friday', 'Europe/Berlin', '08:00', '18:00'), '2026-07-03T12:00:00+02:00', true],
    ['the day after', night('friday', 'Europe/Berlin', '08:00', '18:00'), '2026-07-04T12:00:00+02:00', false],
    // The clock goes from 02:00 to 03:00 on 29 March 2026, a Sunday, and from 03:00 to 02:00 on 25 October.
    ['a night that lacks an hour, before', night('saturday'), '2026-03-29T01:59:59+01:00', true],
    ['a night that lacks an hour, after', night('saturday'), '2026-03-29T03:00:00+02:00', true],
    ['a night that lacks an hour, at its end', night('saturday'), '2026-03-29T05:59:59+02:00', true],
    ['a night that lacks an hour, of another day', night('sunday'), '2026-03-29T05:59:59+02:00', false],
    ['a night that lacks an hour, over', night('saturday'), '2026-03-29T06:00:00+02:00', false],
    ['a night with an hour twice, the first time', night('saturday'), '2026-10-25T02:30:00+02:00', true],
    ['a night with an hour twice, the second time', night('saturday'), '2026-10-25T02:30:00+01:00', true],
    ['a night with an hour twice, at its end', night('saturday'), '2026-10-25T05:59:59+01:00', true],
    ['a night with an hour twice, of another day', night('sunday'), '2026-10-25T05:59:59+01:00', false],
    [
      'just after midnight, the clock set since',
      night('saturday', 'Europe/Berlin', '00:15', '00:10'),
      '2026-03-29T23:50:00+02:00',
      false,
    ],
    ['and of the right day', night('sunday', 'Europe/Berlin', '00:15', '00:10'), '2026-03-29T23:50:00+02:00', true],
    ['and with an hour more', night('sunday', 'Europe/Berlin', '23:45', '23:40'), '2026-10-25T23:30:00+01:00', false],
    ['and of the day before', night('saturday', 'Europe/Berlin', '23:45', '23:40'), '2026-10-25T23:30:00+01:00', true],
    [
      'a time that the clock skips',
      night('sunday', 'Europe/Berlin', '02:30', '06:00'),
      '2026-03-29T03:10:00+02:00',
      true,
    ],
    // 22:00 in Berlin is 05:00 in Tokyo, the day after.
    ['a night that begins on a Saturday elsewhere', night('saturday', 'Asia/Tokyo'), '2026-07-03T23:00:00+02:00', true],
    ['the same after midnight', night('saturday', 'Asia/Tokyo'), '2026-07-04T05:00:00+02:00', true],
    ['the same on the next day', night('saturday', 'Asia/Tokyo'), '2026-07-04T23:00:00+02:00', false],
  ])('%s', (_, text, time, expected) => {
    expect(holds(text, '10.0.0.1', time)).toBe(expected)
  })

  test('and says so where the night ends on another', () => {
    const { phrase } = compileConditions(parseDocument(conditionsSchema, night('friday, saturday'), 'c.yaml').value)
    expect(phrase).toBe(
      'a time from 22:00 to 06:00 Europe/Berlin and a night that begins on a friday or saturday in Europe/Berlin',
    )
  })
})

describe('a span of time', () => {
  test.each<[text: string, time: string, holds: boolean]>([
    ['notBefore: 2026-07-01T10:00:00+02:00', '2026-07-01T08:00:00Z', true],
    ['notBefore: 2026-07-01T10:00:00+02:00', '2026-07-01T07:59:59.999Z', false],
    ['notAfter: 2026-07-01T08:00:00Z', '2026-07-01T08:00:00Z', true],
    ['notAfter: 2026-07-01T08:00:00Z', '2026-07-01T08:00:00.001Z', false],
    ['{ notBefore: 2026-07-01T08:00:00Z, notAfter: 2026-07-01T09:00:00Z }', '2026-07-01T08:30:00Z', true],
    ['{ notBefore: 2026-07-01T08:00:00Z, notAfter: 2026-07-01T09:00:00Z }', '2026-07-01T09:30:00Z', false],
  ])('%s at %s', (text, time, expected) => {
    expect(holds(text, '10.0.0.1', time)).toBe(expected)
  })
})

describe('a claim', () => {
  test.each<[extra: Readonly<Record<string, readonly string[]>>, holds: boolean]>([
    [{ team: ['payments'] }, true],
    [{ team: ['x', 'search'] }, true],
    [{ team: ['Payments'] }, false],
    [{ team: [] }, false],
    [{ teams: ['payments'] }, false],
    [{}, false],
  ])('%j', (extra, expected) => {
    expect(holds('extra: { team: [payments, search] }', '10.0.0.1', undefined, extra)).toBe(expected)
  })

  test('of several keys has to hold for each, and no key is inherited', () => {
    const both = 'extra: { team: [a], example.com/level: ["2"] }'
    expect(holds(both, '10.0.0.1', undefined, { team: ['a'], 'example.com/level': ['2'] })).toBe(true)
    expect(holds(both, '10.0.0.1', undefined, { team: ['a'] })).toBe(false)
    expect(holds('extra: { constructor: [a] }', '10.0.0.1', undefined, {})).toBe(false)
  })
})

test('what is asked for is said in words', () => {
  const { phrase, circumstances } = compileConditions(
    parseDocument(
      conditionsSchema,
      `{ sourceIPs: [10.0.0.0/8], weekdays: { days: [monday], timeZone: UTC }, notAfter: 2026-07-01T08:00:00Z,
      extra: { team: [a, b] } }`,
      'c.yaml',
    ).value,
  )
  expect(phrase).toBe(
    'a source address in 10.0.0.0/8 and a monday in UTC and a time until 2026-07-01T08:00:00Z and a claim team of "a" or "b"',
  )
  expect(circumstances).toEqual(['sourceIP', 'time'])
})

test('all that is given has to hold', () => {
  const both = 'sourceIPs: [10.0.0.0/8]\ntimeOfDay: { from: "08:00", to: "18:00", timeZone: UTC }'
  expect(holds(both, '10.0.0.1', '2026-07-01T12:00:00Z')).toBe(true)
  expect(holds(both, '11.0.0.1', '2026-07-01T12:00:00Z')).toBe(false)
  expect(holds(both, '10.0.0.1', '2026-07-01T20:00:00Z')).toBe(false)
})

test.each<[text: string, problem: string]>([
  ['{}', 'is empty'],
  ['sourceIPs: []', 'is an empty list'],
  ['sourceIPs: [10.0.0.0/33]', 'is no address range'],
  ['sourceIPs: ["2001:db8::/129"]', 'is no address range'],
  ['sourceIPs: [office.example.com]', 'is no address range'],
  ['timeOfDay: { from: "8:00", to: "18:00", timeZone: UTC }', 'is "8:00"'],
  ['timeOfDay: { from: "08:00", to: "25:00", timeZone: UTC }', 'is "25:00"'],
  ['timeOfDay: { from: "08:00", to: "08:00", timeZone: UTC }', 'begins and ends at the same time'],
  ['timeOfDay: { from: "08:00", to: "18:00", timeZone: Europe/Bärlin }', 'is no time zone'],
  ['timeOfDay: { from: "08:00", to: "18:00" }', 'is missing'],
  ['weekdays: { days: [mon], timeZone: UTC }', 'is "mon"'],
  ['weekdays: { days: [], timeZone: UTC }', 'is an empty list'],
  ['weekdays: { days: [monday] }', 'is missing'],
  ['notBefore: 2026-07-01', 'is "2026-07-01"'],
  ['notBefore: 2026-13-01T00:00:00Z', 'is on no calendar'],
  ['notBefore: 2026-02-30T00:00:00Z', 'is on no calendar'],
  ['notAfter: 2026-07-01T00:00:00', 'is "2026-07-01T00:00:00"'],
  ['{ notBefore: 2026-07-02T00:00:00Z, notAfter: 2026-07-01T00:00:00Z }', 'is earlier than notBefore'],
  ['extra: {}', 'is empty'],
  ['extra: { team: [] }', 'is an empty list'],
  ['extra: { Team: [a] }', 'a key in lower case'],
])('%s is a mistake', (text, problem) => {
  expect(() => parseDocument(conditionsSchema, text, 'c.yaml')).toThrow(DocumentError)
  expect(() => parseDocument(conditionsSchema, text, 'c.yaml')).toThrow(problem)
})
