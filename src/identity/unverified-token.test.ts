import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StatusError } from '../kube/status.ts'
import { claimOf, parseToken } from './unverified-token.ts'

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const token = (header: unknown, payload: unknown = { iss: 'https://sso.example.com' }): string =>
  `${part(header)}.${part(payload)}.c2lnbmF0dXJl`

test('a token says which key of which issuer signed it', () => {
  expect(parseToken(token({ alg: 'ES256', kid: 'k', typ: 'JWT' }))).toMatchObject({
    algorithm: 'ES256',
    keyId: 'k',
    issuer: 'https://sso.example.com',
  })
})

test.for(['JWT', 'jwt', 'application/jwt'])('the type %s is that of an ID token', (typ) => {
  expect(parseToken(token({ alg: 'ES256', typ })).issuer).toBe('https://sso.example.com')
})

test.for([
  ['at+jwt', 'an access token'],
  ['application/at+jwt', 'an access token'],
  ['logout+jwt', 'a logout token'],
  ['dpop+jwt', 'a proof'],
  ['token-introspection+jwt', 'an introspection answer'],
  ['JOSE', 'something else'],
  [7, 'a number'],
  [null, 'null'],
])('the type %s, %s, is refused', ([typ]) => {
  expect(() => parseToken(token({ alg: 'ES256', typ }))).toThrow('the token is not an ID token')
})

test.for([
  ['five parts', 'a.b.c.d.e', 'an encrypted token is not accepted'],
  ['a thousand parts', 'a'.concat('.a'.repeat(999)), 'not a JSON Web Token'],
  ['four parts', 'a.b.c.d', 'not a JSON Web Token'],
  ['two parts', 'a.b', 'not a JSON Web Token'],
  ['one part', 'opaque', 'not a JSON Web Token'],
  ['no header', `.${part({ iss: 'x' })}.c`, 'not a JSON Web Token'],
  ['padding', `${part({ alg: 'ES256' })}=.${part({ iss: 'x' })}.c`, 'not a JSON Web Token'],
  ['a comma', `${token({ alg: 'ES256' })}, ${token({ alg: 'ES256' })}`, 'not a JSON Web Token'],
  ['a header that is no JSON', token('alg'), 'not a JSON Web Token'],
  ['a header that is a list', token([]), 'not a JSON Web Token'],
  ['a payload that is null', token({ alg: 'ES256' }, null), 'not a JSON Web Token'],
  ['deep nesting', token({ alg: 'ES256' }, '['.repeat(8000)), 'not a JSON Web Token'],
  ['no algorithm', token({}), 'header of the token'],
  ['an algorithm that is a list', token({ alg: ['ES256'] }), 'header of the token'],
  ['a key id that is an object', token({ alg: 'ES256', kid: {} }), 'header of the token'],
  ['a critical extension', token({ alg: 'ES256', crit: ['b64'], b64: false }), 'header of the token'],
  ['no issuer', token({ alg: 'ES256' }, {}), 'does not say who issued it'],
  ['a list of issuers', token({ alg: 'ES256' }, { iss: ['x'] }), 'does not say who issued it'],
  ['an issuer that is inherited', token({ alg: 'ES256' }, '{"__proto__":{"iss":"x"}}'), 'does not say who issued it'],
] as const)('a token with %s is refused', ([, text, sentence]) => {
  expect(() => parseToken(text)).toThrow(sentence)
})

test('bytes that are not UTF-8 are refused, not repaired', () => {
  const payload = Buffer.from([...Buffer.from('{"iss":"'), 0xff, ...Buffer.from('"}')]).toString('base64url')
  expect(() => parseToken(`${part({ alg: 'ES256' })}.${payload}.c`)).toThrow('not a JSON Web Token')
})

test('whatever the text, the answer is a token or a 401', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.array(fc.base64String(), { maxLength: 6 }).map((parts) => parts.join('.')),
    fc.tuple(fc.json(), fc.json()).map(([header, payload]) => token(header, payload)),
  )
  fc.assert(
    fc.property(texts, (text) => {
      try {
        expect(typeof parseToken(text).issuer).toBe('string')
      } catch (error) {
        expect(error).toBeInstanceOf(StatusError)
        expect((error as StatusError).status.code).toBe(401)
      }
    }),
  )
})

test('a claim is read by its own name only', () => {
  expect(claimOf(JSON.parse('{"__proto__":"own"}') as Record<string, unknown>, '__proto__')).toBe('own')
  expect(claimOf({}, 'constructor')).toBeUndefined()
})
