import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Seal } from './sealing.ts'

const master = randomBytes(32)
const shape = z.strictObject({ text: z.string(), number: z.number() })
const seal = new Seal(master, 'state', shape)

test('what was sealed opens, shows nothing, and is another text each time', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 8 }), fc.integer(), (text, number) => {
      const sealed = seal.seal({ text, number })
      expect(sealed).toMatch(/^[\w-]+$/)
      expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain(text)
      expect(seal.open(sealed)).toEqual({ text, number })
      expect(seal.seal({ text, number })).not.toBe(sealed)
    }),
  )
})

test('no changed byte goes unseen', () => {
  const sealed = Buffer.from(seal.seal({ text: 'a login', number: 1 }), 'base64url')
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(seal.open(changed.toString('base64url'))).toBeNull()
  }
})

test.for([
  ['nothing', ''],
  ['too little', 'AAAA'],
  ['a nonce and a tag with nothing between', Buffer.alloc(28).toString('base64url')],
  ['other text', 'not sealed at all, and no base64url'],
  ['too much', 'A'.repeat(8193)],
])('%s does not open', ([, text]) => {
  expect(seal.open(text ?? '')).toBeNull()
})

test('of the spellings of the same bytes one opens', () => {
  const sealed = seal.seal({ text: 'ab', number: 1 })
  for (const spelling of [`${sealed}=`, ` ${sealed}`, `${sealed}\n`]) expect(seal.open(spelling)).toBeNull()
})

test('what was sealed with another key, for another purpose, or in another shape does not open', () => {
  const value = { text: 'a login', number: 1 }
  expect(new Seal(randomBytes(32), 'state', shape).open(seal.seal(value))).toBeNull()
  expect(new Seal(master, 'code', shape).open(seal.seal(value))).toBeNull()
  expect(new Seal(master, 'state', z.strictObject({ text: z.string() })).open(seal.seal(value))).toBeNull()
  expect(new Seal(master, 'state', shape).open(seal.seal(value))).toEqual(value)
})
