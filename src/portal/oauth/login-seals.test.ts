import { expect, test } from 'vitest'
import { LoginSealsSource } from './login-seals.ts'

const LOGIN = {
  redirectURI: 'http://127.0.0.1:4000/a',
  codeChallenge: 'challenge',
  nonce: 'nonce',
  codeVerifier: 'verifier',
  expiresAtMs: 1,
  code: 'code',
}

test('connectors that have the same secret open what one of them sealed', async () => {
  const one = await new LoginSealsSource('client').of('the secret of a client')
  const other = await new LoginSealsSource('client').of('the secret of a client')
  expect(other.granted.open(one.granted.seal(LOGIN))).toEqual(LOGIN)
})

test('another secret, another client and another purpose do not', async () => {
  const source = new LoginSealsSource('client')
  const { granted, pending } = await source.of('the secret of a client')
  const sealed = granted.seal(LOGIN)
  expect(pending.open(sealed)).toBeNull()
  expect((await source.of('the next secret of it')).granted.open(sealed)).toBeNull()
  expect((await new LoginSealsSource('other').of('the secret of a client')).granted.open(sealed)).toBeNull()
})

test('seals are made once for each secret', async () => {
  const source = new LoginSealsSource('client')
  const first = await source.of('one')
  expect(await source.of('one')).toBe(first)
  expect(await source.of('two')).not.toBe(first)
})
