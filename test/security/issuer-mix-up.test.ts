import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ClaimMappings } from '../../src/identity/issuer-options.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E7, E13.
//
// Two issuers, keys of the same name: one must not be able to speak for the other, nor call its people what the other calls
// its own.

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

describe('what one issuer calls its own, no other gives', () => {
  const PLAIN: ClaimMappings = { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } }
  const BY_CLAIM: ClaimMappings = {
    username: { claim: 'sub', prefix: 'github:' },
    groups: { claim: 'repository', prefix: 'repositories/' },
  }
  const BY_EXPRESSION: ClaimMappings = {
    username: { expression: '"github:" + claims.sub' },
    groups: { expression: '["repositories/" + claims.repository]' },
  }
  const opened: OidcAuthenticator[] = []
  afterEach(() => {
    for (const each of opened.splice(0)) each.close()
  })
  const open = (
    forStaff: ClaimMappings,
    forPartners: ClaimMappings,
    sharesNamesWith: readonly string[] = [],
  ): OidcAuthenticator => {
    const both = createAuthenticator({
      issuers: [
        staff.options({ claimMappings: forStaff }),
        partners.options({ claimMappings: forPartners, sharesNamesWith }),
      ],
    })
    opened.push(both)
    return both
  }

  describe.each([
    ['a claim', BY_CLAIM],
    ['an expression', BY_EXPRESSION],
  ])('with a prefix before %s', (_, pipelines) => {
    test('its own names stay what they are', async () => {
      const both = open(PLAIN, pipelines)
      const token = await partners.sign({ sub: 'repo:example/shop', repository: 'example/shop' })
      const { subject } = await both.authenticate(bearer(token))
      expect([subject.username, subject.groups]).toEqual(['github:repo:example/shop', ['repositories/example/shop']])
    })

    test.for<[string, Record<string, unknown>, string]>([
      ['a group', { groups: ['dev', 'repositories/example/shop'] }, 'repositories/'],
      ['a username', { email: 'github:repo@example.com' }, 'github:'],
      ['a group like its usernames', { groups: ['github:example/shop'] }, 'github:'],
      ['a username like its groups', { email: 'repositories/shop@example.com' }, 'repositories/'],
    ])('a person of the other issuer gets nowhere with %s', async ([, claims, prefix]) => {
      expect(await refusalOf(open(PLAIN, pipelines), await staff.sign(claims))).toEqual(
        unauthorized(`the token makes a name that begins with "${prefix}", which is kept for another issuer`),
      )
    })
  })

  test.for<[string, ClaimMappings, ClaimMappings]>([
    ['no prefix on both sides', PLAIN, { username: { claim: 'sub', prefix: '' } }],
    [
      'no prefix of groups on both sides',
      { ...PLAIN, username: { claim: 'sub', prefix: 'a:' } },
      { ...PLAIN, username: { claim: 'sub', prefix: 'b:' } },
    ],
    ['the same prefix', BY_CLAIM, BY_EXPRESSION],
    ['a prefix that begins the other', BY_CLAIM, { username: { claim: 'sub', prefix: 'git' } }],
    ['an expression that may make any name', PLAIN, { username: { expression: 'claims.sub + ":external"' } }],
  ])('two issuers cannot have %s', ([, forStaff, forPartners]) => {
    expect(() => open(forStaff, forPartners)).toThrow('names of two issuers cannot be told apart')
    expect(() => open(forPartners, forStaff)).toThrow('names of two issuers cannot be told apart')
  })

  test('unless they are said to name the same people', async () => {
    const both = open(PLAIN, { ...PLAIN, username: { claim: 'sub', prefix: '' } }, [staff.url])
    for (const issuer of [staff, partners]) {
      const token = await issuer.sign({ sub: 'ana@example.com' })
      expect(await both.authenticate(bearer(token))).toHaveProperty('subject.username', 'ana@example.com')
    }
  })
})
