import { expect, test } from 'vitest'
import { inspectDocument, renderMistake } from '../document/document.ts'
import { identitySchema } from './identity-schema.ts'

function mistakesIn(text: string): readonly string[] {
  return inspectDocument(identitySchema, text, 'identity.yaml').mistakes.map(renderMistake)
}

/** The `jwt` list of an AuthenticationConfiguration, every field of it used, as the documentation of Kubernetes has them. */
const PASTED = `
issuers:
- issuer:
    url: https://example.com
    discoveryURL: https://discovery.example.com/.well-known/openid-configuration
    certificateAuthority: ca.crt
    audiences:
    - my-app
    - my-other-app
    audienceMatchPolicy: MatchAny
    egressSelectorType: cluster
  claimValidationRules:
  - claim: hd
    requiredValue: example.com
  - expression: 'claims.hd == "example.com"'
    message: the hd claim must be set to example.com
  - expression: 'claims.exp - claims.nbf <= 86400'
    message: total token lifetime must not exceed 24 hours
  claimMappings:
    username:
      expression: 'claims.username + ":external-user"'
    groups:
      expression: 'claims.roles.split(",")'
    uid:
      expression: 'claims.sub'
    extra:
    - key: 'example.com/tenant'
      valueExpression: 'claims.tenant'
  userValidationRules:
  - expression: "!user.username.startsWith('system:')"
    message: 'username cannot used reserved system: prefix'
  - expression: "user.groups.all(group, !group.startsWith('system:'))"
    message: 'groups cannot used reserved system: prefix'
- issuer:
    url: https://accounts.example.org
    audiences: [cli]
  claimMappings:
    username:
      claim: email
      prefix: ''
    groups:
      claim: roles
      prefix: 'org:'
    uid:
      claim: sub
`

test('the jwt list of an AuthenticationConfiguration can be pasted', () => {
  expect(mistakesIn(PASTED)).toEqual([])
})

test('mistakes in expressions are told at once, with their lines', () => {
  const text = PASTED.replace('claims.exp - claims.nbf <= 86400', 'claims.exp - claims.nbf')
    .replace('claims.hd ==', 'claim.hd ==')
    .replace('claims.roles.split(",")', 'claims.roles.splt(",")')
    .replace("'claims.sub'", "'claims.sub +'")
    .replace("'claims.tenant'", `'claims.tenant.matches("(")'`)
    .replace("!user.username.startsWith('system:')", 'user.name')
  expect(mistakesIn(text)).toEqual([
    'identity.yaml:15: issuers[0].claimValidationRules[1].expression: is no expression that can be used: Unknown variable: claim, expected an expression of CEL over `claims`',
    'identity.yaml:17: issuers[0].claimValidationRules[2].expression: gives dyn, expected true or false',
    "identity.yaml:23: issuers[0].claimMappings.groups.expression: is no expression that can be used: found no matching overload for 'dyn.splt(string)', expected an expression of CEL over `claims`",
    'identity.yaml:25: issuers[0].claimMappings.uid.expression: is no expression that can be used: Unexpected token: EOF, expected an expression of CEL over `claims`',
    'identity.yaml:28: issuers[0].claimMappings.extra[0].valueExpression: is no expression that can be used: "(" is no regular expression of RE2, expected an expression of CEL over `claims`',
    'identity.yaml:30: issuers[0].userValidationRules[0].expression: is no expression that can be used: No such key: name, expected an expression of CEL over `user`',
  ])
})

test.for<[string, string, string, string]>([
  [
    'a prefix beside an expression',
    'claims.username + ":external-user"\'',
    'claims.username + ":external-user"\'\n      prefix: x',
    'issuers[0].claimMappings.username.prefix: unknown key',
  ],
  [
    'a claim without a prefix',
    "      claim: email\n      prefix: ''\n",
    '      claim: email\n',
    'issuers[1].claimMappings.username.prefix: is missing',
  ],
  [
    'a claim and an expression',
    '    requiredValue: example.com\n',
    '    requiredValue: example.com\n    expression: "true"\n',
    'issuers[0].claimValidationRules[0].expression: unknown key',
  ],
  [
    'a required value beside an expression',
    '    message: the hd claim must be set to example.com',
    '    requiredValue: example.com',
    'issuers[0].claimValidationRules[1].requiredValue: unknown key',
  ],
])('%s is refused', ([, from, to, mistake]) => {
  expect(PASTED).toContain(from)
  expect(mistakesIn(PASTED.replace(from, to)).join('\n')).toContain(mistake)
})

const withExtraKey = (key: string): readonly string[] =>
  mistakesIn(PASTED.replace("'example.com/tenant'", () => JSON.stringify(key)))

test.for([
  'example.com/team',
  'acme/team',
  'a/b',
  '1/2',
  'example.com/a:b',
  'example.com/a/b//c',
  "example.com/a.b_c~d%20!$&'()*+,;=:",
  'example.xn--p1ai/a',
  'my-k8s.io/a',
  'k8s.io.example.com/a',
  'example.com/k8s.io/a',
  `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}/a`,
])('the extra key %s is one, as it is to Kubernetes', (key) => {
  expect(withExtraKey(key)).toEqual([])
})

test.for([
  'team',
  '/team',
  'example.com/',
  'Example.com/team',
  'example.com/Team',
  '-a.example/b',
  'a-.example/b',
  'a..example/b',
  '.example/b',
  'a_b/c',
  'example.com/a b',
  'example.com/a@b',
  'example.com/ü',
  'example.com/a\n',
  'k8s.io/a',
  'kubernetes.io/a',
  'a.kubernetes.io/a',
  'a.b.k8s.io/a',
  `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(62)}/a`,
])('the extra key %j is none, as it is none to Kubernetes', (key) => {
  expect(withExtraKey(key)).toEqual([expect.stringContaining('a lower-case key with a domain of yours')])
})

test('machines are described, and their prefixes are of a kind', () => {
  const machines = `
serviceAccounts:
- { socket: production, audiences: [postern], prefix: 'production:' }
- { socket: staging, audiences: [], prefix: staging }
clientCertificates: { certificateAuthority: robots.crt, prefix: 'system:' }
`
  expect(mistakesIn(PASTED + machines)).toEqual([
    'identity.yaml:49: serviceAccounts[1].audiences: is an empty list, expected at least 1 entry',
    'identity.yaml:49: serviceAccounts[1].prefix: is no prefix of machines, expected lower-case letters, digits, "." and "-" and then one colon, such as "production:"',
    'identity.yaml:50: clientCertificates.prefix: is no prefix of machines, expected lower-case letters, digits, "." and "-" and then one colon, such as "production:"',
  ])
})

test('a source of groups is one of two', () => {
  const from = (source: string): readonly string[] =>
    mistakesIn(PASTED.replace('  claimValidationRules:', `  groupsFrom: ${source}\n  claimValidationRules:`))
  expect(from('{ userinfo: {} }')).toEqual([])
  expect(from('{ graph: { credentials: { clientID: postern, clientSecret: { env: SECRET } } } }')).toEqual([])
  expect(from('{ userinfo: {}, graph: {} }').join()).toContain('groupsFrom')
  expect(from('{ graph: { credentials: { clientID: postern, clientSecret: hunter2 } } }').join()).not.toContain(
    'hunter2',
  )
})
