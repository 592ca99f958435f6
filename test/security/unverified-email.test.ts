import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E11, E12.
//
// Where anybody may type any e-mail address into a form, an address that is not verified is somebody else's name.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({ issuers: [issuer.options()] })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test('a verified address is a username', async () => {
  const { subject } = await authenticator.authenticate(bearer(await issuer.sign({ email_verified: true })))
  expect(subject.username).toBe('ana@example.com')
})

test.for([false, 'true', 'false', 'yes', 1, 0, null, {}, [true]])(
  'email_verified %j is not verified',
  async (verified) => {
    const token = await issuer.sign({ email: 'admin@example.com', email_verified: verified })
    expect(await refusalOf(authenticator, token)).toEqual(
      unauthorized('the e-mail address in the token is not verified'),
    )
  },
)

test.for([
  'ana@example.com@evil.example',
  'ana@evil.example,admin@example.com',
  '"ana@evil.example"@example.com',
  'ana@exаmple.com',
  'ana@example．com',
  'ana＠example.com',
  'ana@example.com ',
  'ana@example.com\n',
  'ana@example.com\0',
  'ana@',
  '@example.com',
  'ana',
])('the address %j is refused', async (email) => {
  const status = await refusalOf(authenticator, await issuer.sign({ email }))
  if (email.includes(',')) expect(status).toMatchObject({ code: 401 })
  else expect(status).toEqual(unauthorized('the e-mail address in the token is not a plain one'))
})

test.for([[['ana@example.com']], [{ value: 'ana@example.com' }], [7], [null], [undefined]])(
  'an address of another type, %j, is refused',
  async ([email]) => {
    expect(await refusalOf(authenticator, await issuer.sign({ email }))).toEqual(
      unauthorized('the token has no usable "email" claim'),
    )
  },
)
