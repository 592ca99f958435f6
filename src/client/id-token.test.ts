import { expect, test } from 'vitest'
import { readIdToken } from './id-token.ts'
import { tokenTimes } from './refresh.ts'

const token = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`

test('subject and end are read', () => {
  expect(readIdToken(token({ sub: 'ana', iat: 60, exp: 100 }))).toEqual({
    subject: 'ana',
    expiresAtMs: 100_000,
    lifetimeMs: 40_000,
  })
})

test.for([
  '',
  'a',
  'a.b.c',
  token(null),
  token({}),
  token({ sub: 'ana' }),
  token({ sub: 1, exp: 1 }),
  token({ sub: 'ana', exp: '1' }),
])('a token without them is refused (%#), and not quoted', (text) => {
  expect(() => readIdToken(text)).toThrow(/^the ID token of the identity provider/)
})

test.for([
  [3600, 3540],
  [240, 180],
  [100, 75],
  [0, 0],
] as const)('a token that lasts %i s is renewed after %i s', ([lifetime, renewal]) => {
  const times = tokenTimes(token({ sub: 'ana', exp: 1_000_000 + lifetime }), 1_000_000_000)
  expect(times).toEqual({ expiresAtMs: 1_000_000_000 + lifetime * 1000, refreshAtMs: 1_000_000_000 + renewal * 1000 })
})

test('where the clock is behind, a token lasts no longer than it would elsewhere', () => {
  const issuedHere = token({ sub: 'ana', iat: 1_000_600, exp: 1_000_900 })
  expect(tokenTimes(issuedHere, 1_000_000_000).expiresAtMs).toBe(1_000_300_000)
  const issuedBefore = token({ sub: 'ana', iat: 999_900, exp: 1_000_200 })
  expect(tokenTimes(issuedBefore, 1_000_000_000).expiresAtMs).toBe(1_000_200_000)
})
