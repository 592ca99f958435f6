import { describe, expect, test } from 'vitest'
import { DocumentError, parseDocument } from '../document/document.ts'
import { compileConditions, conditionsSchema } from './conditions.ts'

const holds = (text: string, sourceIP: string, time = '2026-07-01T00:00:00Z'): boolean =>
  compileConditions(parseDocument(conditionsSchema, text, 'c.yaml').value).holds({ sourceIP, atMs: Date.parse(time) })

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
])('%s is a mistake', (text, problem) => {
  expect(() => parseDocument(conditionsSchema, text, 'c.yaml')).toThrow(DocumentError)
  expect(() => parseDocument(conditionsSchema, text, 'c.yaml')).toThrow(problem)
})
