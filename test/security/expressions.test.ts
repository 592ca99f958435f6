import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import { MAX_EXPRESSION_MS } from '../../src/identity/expression-timer.ts'
import type { IssuerOptions } from '../../src/identity/issuer-options.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks E11, E30.
//
// An operator writes expressions; people choose what their claims hold. What they choose must not make an expression run
// on, mean something else, or reach what is no claim.

let issuer: StagedIssuer
let authenticator: OidcAuthenticator

beforeAll(async () => {
  issuer = await startStagedIssuer()
})
afterAll(() => issuer.close())
afterEach(() => {
  authenticator.close()
})

function open(overrides: Partial<IssuerOptions>): void {
  authenticator = createAuthenticator({
    issuers: [issuer.options({ claimMappings: { username: { claim: 'sub', prefix: '' } }, ...overrides })],
  })
}
const rule = (expression: string): void => {
  open({ claimValidationRules: [{ expression, message: 'the rule' }] })
}

test('a pattern takes time in proportion to the text', async () => {
  rule('claims.text.matches("^(a+)+$") || claims.text.matches("^(a|a)*b?c$") || claims.text.matches("(.*a){12}!")')
  const token = await issuer.sign({ text: `${'a'.repeat(5000)}?` })
  const spentMs = cpuStopwatch()
  expect(await refusalOf(authenticator, token)).toMatchObject({ code: 401 })
  expect(spentMs()).toBeLessThan(20 * MAX_EXPRESSION_MS)
})

test.for<[string, string, Record<string, unknown>]>([
  [
    'walks within walks',
    'claims.l.all(a, claims.l.all(b, claims.l.all(c, a + b + c >= 0)))',
    { l: Array.from({ length: 2000 }, () => 1) },
  ],
  [
    'text that doubles',
    `${Array.from({ length: 9 }, (_, i) => `cel.bind(v${i + 1}, v${i} + v${i} + v${i} + v${i}, `)
      .join('')
      .replace('v0 + v0 + v0 + v0', 'claims.t')}v9.matches("(x+x+)+y")${')'.repeat(9)}`,
    { t: 'x'.repeat(1000) },
  ],
])('%s end in a refusal, and the connector goes on', async ([, expression, claims]) => {
  rule(expression)
  const spentMs = cpuStopwatch()
  expect(await refusalOf(authenticator, await issuer.sign(claims))).toMatchObject({ code: 401, reason: 'Unauthorized' })
  expect(spentMs()).toBeLessThan(20 * MAX_EXPRESSION_MS)
  expect(await refusalOf(authenticator, await issuer.sign({ sub: '' }))).toMatchObject({ code: 401 })
})

test('a token that is refused for its time is not evaluated again at once', async () => {
  rule('claims.l.all(a, claims.l.all(b, claims.l.all(c, a + b + c >= 0)))')
  const token = await issuer.sign({ l: Array.from({ length: 2000 }, () => 1) })
  expect(await refusalOf(authenticator, token)).toEqual(unauthorized('the rules of the connector take too long'))
  const spentMs = cpuStopwatch()
  await refusalOf(authenticator, token)
  expect(spentMs()).toBeLessThan(MAX_EXPRESSION_MS / 2)
})

test.for<[string, string, Record<string, unknown>]>([
  ['text that looks true', 'claims.email_verified == true', { email_verified: 'true' }],
  ['a number that looks true', 'claims.email_verified == true', { email_verified: 1 }],
  ['a list with the value', 'claims.hd == "example.com"', { hd: ['example.com'] }],
  ['an object with the value', 'claims.hd == "example.com"', { hd: { 'example.com': true } }],
  ['text that has the entry in it', 'claims.roles.exists(r, r == "dev")', { roles: 'dev' }],
  ['null', 'claims.hd != ""', { hd: undefined }],
  ['what every object has', 'claims.constructor != null', {}],
  ['a prototype', 'claims.admin == true', JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>],
  ['an expression', 'claims.hd == "example.com"', { hd: '" || true || "' }],
])('%s in a claim does not pass for what a rule asks', async ([, expression, claims]) => {
  rule(expression)
  expect(await refusalOf(authenticator, await issuer.sign(claims))).toMatchObject({ code: 401 })
})

test('what a claim holds comes out of an expression as text, never as a reserved name or a hidden one', async () => {
  open({ claimMappings: { username: { expression: 'claims.name' }, groups: { expression: 'claims.roles' } } })
  expect(await authenticator.authenticate(bearer(await issuer.sign({ name: 'ana', roles: ['dev'] })))).toMatchObject({
    subject: { username: 'ana', groups: ['dev'] },
  })
  for (const claims of [
    { name: 'system:admin', roles: [] },
    { name: 'ana', roles: ['system:masters'] },
    { name: 'ana', roles: ['KUBEADM:cluster-admins'] },
    { name: 'a\u202Ena', roles: [] },
    { name: 'ana', roles: ['dev', 7] },
    { name: 'ana', roles: { dev: true } },
    { name: ['ana'], roles: [] },
    { name: ' ', roles: [] },
  ]) {
    expect(await refusalOf(authenticator, await issuer.sign(claims))).toMatchObject({ code: 401 })
  }
})

test('an e-mail that nobody verified is no username by way of an expression', () => {
  for (const expression of ['claims.email', 'claims["email"]', 'claims.?email.orValue("x")', 'dyn(claims).email']) {
    expect(() => {
      open({ claimMappings: { username: { expression } } })
    }).toThrow('nothing reads claims.email_verified')
  }
})
