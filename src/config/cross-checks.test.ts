import { expect, test } from 'vitest'
import type { Sound } from '../document/document.ts'
import type { ConnectorInput } from './connector-schema.ts'
import { checkAcross } from './cross-checks.ts'

type Identity = NonNullable<Sound<ConnectorInput>>['identity']
type SoundIssuer = NonNullable<NonNullable<NonNullable<Identity>['issuers']>[number]>
type Mapping = { readonly claim: string; readonly prefix: string } | { readonly expression: string }

function mistakesIn(identity: Identity): readonly string[] {
  const mistakes: string[] = []
  checkAcross({ identity }, (at, problem, expected) => {
    mistakes.push([`${at.join('.')}: ${problem}`, ...(expected === undefined ? [] : [expected])].join(', expected '))
  })
  return mistakes
}

const A = 'https://a.example.com'
const B = 'https://b.example.com'
const issuer = (
  url: string,
  username: Mapping,
  groups?: Mapping,
  sharesNamesWith?: readonly string[],
): SoundIssuer => ({
  issuer: { url, audiences: ['postern'] },
  claimMappings: { username, ...(groups !== undefined && { groups }) },
  ...(sharesNamesWith !== undefined && { sharesNamesWith: [...sharesNamesWith] }),
})
const by = (prefix: string): Mapping => ({ claim: 'sub', prefix })
const given = (expression: string): Mapping => ({ expression })
const GIVE_ONE = 'a prefix of its own'

test.for<[string, SoundIssuer, SoundIssuer]>([
  ['a prefix, and none', issuer(A, by('github:'), by('github:')), issuer(B, by(''), by(''))],
  ['two prefixes', issuer(A, by('a:'), by('a:')), issuer(B, by('b:'), by('b:'))],
  ['two expressions', issuer(A, given('"a:" + claims.sub')), issuer(B, given('"b:" + claims.sub'))],
  [
    'expressions for pipelines, and people without prefix',
    issuer(
      A,
      given('"gitlab:" + claims.project_path + ":" + claims.ref'),
      given('["gitlab:" + claims.namespace_path]'),
    ),
    issuer(B, by(''), by('')),
  ],
  [
    'prefixes that an expression chooses from',
    issuer(
      A,
      given('claims.admin ? "admin:" + claims.sub : "dev:" + claims.sub'),
      given('claims.roles.map(r, "a:" + r)'),
    ),
    issuer(B, by(''), by('')),
  ],
  ['no prefix where only one has groups', issuer(A, by('a:'), by('')), issuer(B, by(''))],
  [
    'no prefix, and the word of one that they are the same people',
    issuer(A, by(''), by('')),
    issuer(B, by(''), by(''), [A]),
  ],
  ['the same prefix, and that word', issuer(A, by('x:'), by('x:'), [B]), issuer(B, by('x:'), by('x:'))],
])('two issuers may have %s', ([, one, other]) => {
  expect(mistakesIn({ issuers: [one, other] })).toEqual([])
  expect(mistakesIn({ issuers: [other, one] })).toEqual([])
})

test.for<[string, SoundIssuer, SoundIssuer, string]>([
  [
    'usernames without prefix',
    issuer(A, by('')),
    issuer(B, by('')),
    `username.prefix: may make any name, and identity.issuers[0] may too, expected ${GIVE_ONE}, or sharesNamesWith: [${A}] when both name the same people`,
  ],
  [
    'groups without prefix',
    issuer(A, by('a:'), by('')),
    issuer(B, by('b:'), by('')),
    `groups.prefix: may make any name, and identity.issuers[0] may too, expected ${GIVE_ONE}, or sharesNamesWith: [${A}] when both name the same people`,
  ],
  [
    'the same prefix',
    issuer(A, by('x:')),
    issuer(B, by('x:')),
    `username.prefix: "x:" is what names of identity.issuers[0] begin with, expected ${GIVE_ONE}, or sharesNamesWith: [${A}] when both name the same people`,
  ],
  [
    'a prefix that begins with the other',
    issuer(A, by('x')),
    issuer(B, by('x:')),
    `username.prefix: begins with "x", as names of identity.issuers[0] do, expected ${GIVE_ONE}, or sharesNamesWith: [${A}] when both name the same people`,
  ],
  [
    'a prefix that the other begins with',
    issuer(A, by('x:y:')),
    issuer(B, by('x:')),
    `username.prefix: "x:" is what "x:y:" begins with, and names of identity.issuers[0] with that, expected ${GIVE_ONE}, or sharesNamesWith: [${A}] when both name the same people`,
  ],
  [
    'an expression that may make any name',
    issuer(A, by('')),
    issuer(B, given('claims.sub + ":external-user"')),
    'username.expression: may make any name, and identity.issuers[0] may too',
  ],
])('two issuers may not have %s', ([, one, other, mistake]) => {
  expect(mistakesIn({ issuers: [one, other] })).toEqual([
    expect.stringContaining(`identity.issuers.1.claimMappings.${mistake}`),
  ])
})

test('prefixes of machines are for machines, whichever begins the other', () => {
  const machines = {
    serviceAccounts: [{ socket: 'production', audiences: ['postern'], prefix: 'production:' }],
    clientCertificates: { certificateAuthority: 'ca.crt', prefix: 'x509:' },
  }
  const mistakes = (username: Mapping, groups?: Mapping): readonly string[] =>
    mistakesIn({ ...machines, issuers: [issuer(A, username, groups)] })
  expect(mistakes(by(''), by('sso:'))).toEqual([])
  expect(mistakes(by('x509:people:'))).toEqual([
    'identity.issuers.0.claimMappings.username.prefix: begins with "x509:", which identity.clientCertificates keeps for machines',
  ])
  expect(mistakes(by(''), given('claims.teams.map(t, "production:" + t)'))).toEqual([
    'identity.issuers.0.claimMappings.groups.expression: begins with "production:", which identity.serviceAccounts[0] keeps for machines',
  ])
  expect(mistakes(by('prod'))).toEqual([
    'identity.issuers.0.claimMappings.username.prefix: "prod" is what "production:" begins with, which identity.serviceAccounts[0] keeps for machines',
  ])
})

test('names are shared with another issuer of the document, once', () => {
  const shared = (...urls: readonly string[]): readonly string[] =>
    mistakesIn({ issuers: [issuer(A, by('')), issuer(B, by('b:'), undefined, urls)] })
  expect(shared(A)).toEqual([])
  expect(shared(`${A}/`)).toEqual([
    `identity.issuers.1.sharesNamesWith.0: there is no other issuer "${A}/", expected ${A}`,
  ])
  expect(shared(B)).toEqual([`identity.issuers.1.sharesNamesWith.0: there is no other issuer "${B}", expected ${A}`])
  expect(shared(A, A)).toEqual([`identity.issuers.1.sharesNamesWith.1: "${A}" stands here twice`])
})

test('an expression that is not sound is no second mistake', () => {
  expect(mistakesIn({ issuers: [issuer(A, by('')), issuer(B, given('claims.sub +'))] })).toEqual([])
})
