import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E7, E13.
//
// Two issuers, keys of the same name: one must not be able to speak for the other.

let staff: StagedIssuer
let partners: StagedIssuer
let authenticator: OidcAuthenticator

beforeAll(async () => {
  staff = await startStagedIssuer({ path: '/staff' })
  partners = await startStagedIssuer({ path: '/partners' })
  expect(staff.key.id).toBe(partners.key.id)
  authenticator = createAuthenticator({
    issuers: [
      staff.options(),
      partners.options({
        claimMappings: {
          username: { claim: 'email', prefix: 'partner:' },
          groups: { claim: 'groups', prefix: 'partner:' },
        },
      }),
    ],
  })
})
afterAll(async () => {
  authenticator.close()
  await Promise.all([staff.close(), partners.close()])
})

test('each issuer speaks for its own people', async () => {
  expect(await authenticator.authenticate(bearer(await staff.sign()))).toMatchObject({
    issuer: staff.url,
    subject: { username: 'ana@example.com', groups: ['payments-dev'] },
  })
  expect(await authenticator.authenticate(bearer(await partners.sign()))).toMatchObject({
    issuer: partners.url,
    subject: { username: 'partner:ana@example.com', groups: ['partner:payments-dev'] },
  })
})

test('one issuer cannot sign for the other, though its key has the same name', async () => {
  const token = await partners.sign({ iss: staff.url })
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the signature of the token does not hold'))
})

test.for<[string, (url: string) => unknown]>([
  ['with a slash at the end', (url) => `${url}/`],
  ['in capitals', (url) => url.toUpperCase()],
  ['without scheme', (url) => url.replace('https://', '')],
  ['with plain http', (url) => url.replace('https:', 'http:')],
  ['with a query', (url) => `${url}?`],
  ['with dot segments', (url) => `${url}/../staff`],
  ['with a percent-encoded letter', (url) => url.replace('/staff', '/st%61ff')],
  ['with a space', (url) => ` ${url}`],
  ['one level up', (url) => url.replace('/staff', '')],
  ['that is empty', () => ''],
])('an issuer %s is another issuer', async ([, change]) => {
  const token = await staff.sign({ iss: change(staff.url) })
  expect(await refusalOf(authenticator, token)).toEqual(
    unauthorized('the token comes from an issuer that is not known here'),
  )
})

test('an issuer nobody configured is not even asked', async () => {
  const stranger = await startStagedIssuer()
  expect(await refusalOf(authenticator, await stranger.sign())).toEqual(
    unauthorized('the token comes from an issuer that is not known here'),
  )
  expect(stranger.seen).toEqual([])
  await stranger.close()
})
