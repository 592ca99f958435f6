import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import type { Attributes, Decision } from './authorizer.ts'
import { cached } from './decision-cache.ts'
import { MAX_NAME_LENGTH } from './policy-authorizer.ts'

const ana = subject('ana@example.com', 'payments-dev')

/** The example of docs/policy.md, on lines of its own. */
const payments = `sockets: [production], subjects: { groups: [payments-dev] }, rules: [
  { verbs: [list], resources: [pods, deployments], apiGroups: ["", apps] },
  { verbs: [get, list], resources: ["*"], namespaces: [default] },
  { verbs: [create], resources: [pods/exec], namespaces: [default], session: { maxDuration: 8h } },
  { effect: deny, verbs: ["*"], resources: [secrets] },
  ]`
const example = authorizerOf({ payments })

function decide(words: string, rest: Partial<Attributes> = {}): Decision {
  return example.authorize({ ...attributes(ana, request(words)), ...rest })
}

describe('a decision', () => {
  test('that allows names rule, place and revision', () => {
    expect(decide('list deployments.apps -n payments')).toEqual({
      effect: 'allow',
      rule: 'payments#1',
      location: 'payments.yaml:5',
      policyRevision: example.revision,
      reason: 'rule payments#1 allows it',
      nearest: [],
      obligations: {},
    })
  })

  test('that denies does so too', () => {
    expect(decide('get secrets db -n default')).toEqual({
      effect: 'deny',
      rule: 'payments#4',
      location: 'payments.yaml:8',
      policyRevision: example.revision,
      reason: 'rule payments#4 denies it',
      nearest: [],
      obligations: {},
    })
  })

  test('without an opinion names what came closest', () => {
    expect(decide('delete pods web -n default')).toEqual({
      effect: 'no-opinion',
      rule: '',
      location: '',
      policyRevision: example.revision,
      reason: 'no rule allows it',
      nearest: [
        { rule: 'payments#1', location: 'payments.yaml:5', missing: ['verb "delete"'] },
        { rule: 'payments#2', location: 'payments.yaml:6', missing: ['verb "delete"'] },
        { rule: 'payments#3', location: 'payments.yaml:7', missing: ['verb "delete"', 'resource "pods"'] },
      ],
      obligations: {},
    })
  })

  test('names the first of several rules that allow', () => {
    expect(decide('list pods -n default').rule).toBe('payments#1')
    const two = authorizerOf({
      b: 'subjects: { users: [ana@example.com] }, rules: [{ verbs: [get], resources: [pods] }]',
      a: 'subjects: { groups: [payments-dev] }, rules: [{ verbs: [get], resources: [pods] }, { verbs: [get], resources: [pods] }]',
    })
    expect(two.authorize(attributes(ana, request('get pods web -n default'))).rule).toBe('a#1')
  })

  test('names the first of several rules that deny', () => {
    const two = authorizerOf({
      a: 'subjects: { groups: [payments-dev] }, rules: [{ verbs: [get], resources: [pods] }]',
      b: 'subjects: { groups: [payments-dev] }, rules: [{ effect: deny, verbs: [get], resources: [pods] }, { effect: deny, verbs: ["*"], resources: ["*"] }]',
    })
    expect(two.authorize(attributes(ana, request('get pods web -n default'))).rule).toBe('b#1')
  })
})

describe('whom and where a policy is about', () => {
  const rules = 'rules: [{ verbs: [get], resources: [pods] }]'
  const get = request('get pods web -n default')

  test.each<[name: string, spec: string, who: ReturnType<typeof subject>, effect: string]>([
    ['a user', 'subjects: { users: [ana] }', subject('ana'), 'allow'],
    ['a member of a group', 'subjects: { groups: [dev] }', subject('ana', 'ops', 'dev'), 'allow'],
    ['everybody', 'subjects: { groups: ["system:authenticated"] }', subject('ana'), 'allow'],
    ['a user of another name', 'subjects: { users: [ana] }', subject('anna'), 'no-opinion'],
    ['a user in other letters', 'subjects: { users: [ana] }', subject('Ana'), 'no-opinion'],
    ['a user called like a group', 'subjects: { groups: [dev] }', subject('dev'), 'no-opinion'],
    ['a group called like a user', 'subjects: { users: [ana] }', subject('omar', 'ana'), 'no-opinion'],
    ['a user called like the term of a group', 'subjects: { groups: [dev] }', subject('x group:dev y'), 'no-opinion'],
    [
      'a group called like two',
      'subjects: { groups: [dev] }',
      subject('omar', 'x group:dev y', 'dev,ops'),
      'no-opinion',
    ],
    ['a user with a sign of expressions', 'subjects: { users: ["a.a+(x)|y"] }', subject('a.a+(x)|y'), 'allow'],
    ['a user that such an expression would match', 'subjects: { users: ["a.a"] }', subject('axa'), 'no-opinion'],
    ['nobody', 'subjects: { users: [ana] }', subject(''), 'no-opinion'],
    ['a user with letters beyond ASCII', 'subjects: { users: ["Åsa Öberg 😀"] }', subject('Åsa Öberg 😀'), 'allow'],
    ['a user with a dollar', 'subjects: { users: ["ana$$x"] }', subject('ana$$x'), 'allow'],
  ])('%s', (_, spec, who, effect) => {
    expect(authorizerOf({ p: `${spec}, ${rules}` }).authorize(attributes(who, get)).effect).toBe(effect)
  })

  test.each<[sockets: string, socket: string, effect: string]>([
    ['[production]', 'production', 'allow'],
    ['[production]', 'production2', 'no-opinion'],
    ['[production]', 'PRODUCTION', 'no-opinion'],
    ['[production]', '', 'no-opinion'],
    ['["*"]', 'staging', 'allow'],
    ['["eu-*-prod", test]', 'eu-1-prod', 'allow'],
    ['["eu-*-prod", test]', 'eu-1-prod-2', 'no-opinion'],
  ])('sockets %s for %s', (sockets, socket, effect) => {
    const authorizer = authorizerOf({ p: `sockets: ${sockets}, subjects: { users: [ana] }, ${rules}` })
    expect(authorizer.authorize(attributes(subject('ana'), get, { socket })).effect).toBe(effect)
  })

  test('no policy at all, or none that is about the caller, says so', () => {
    const reason = 'no rule allows this user anything on this socket'
    expect(authorizerOf({}).authorize(attributes(ana, get))).toMatchObject({
      effect: 'no-opinion',
      reason,
      nearest: [],
    })
    expect(decide('get pods web -n default', { socket: 'staging' })).toMatchObject({
      effect: 'no-opinion',
      reason,
      nearest: [],
    })
  })
})

describe('words that are empty or strange match no rule', () => {
  const everything = authorizerOf({
    p: 'subjects: { users: [ana] }, rules: [{ verbs: ["*"], resources: ["*", "*/*"] }, { verbs: ["*"], nonResourceURLs: ["*"] }]',
  })
  const get = request('get pods web -n default')

  test.each<[name: string, change: Partial<typeof get>]>([
    ['no verb', { verb: '' }],
    ['no resource', { resource: '', subresource: '', name: '' }],
    ['no path', { isResourceRequest: false, path: '' }],
    ['a path that looks like a resource', { isResourceRequest: false, path: 'pods' }],
    ['a name too long', { name: 'a'.repeat(MAX_NAME_LENGTH + 1) }],
    ['a namespace too long', { namespace: 'a'.repeat(MAX_NAME_LENGTH + 1) }],
  ])('%s', (_, change) => {
    const decision = everything.authorize(attributes(subject('ana'), { ...get, ...change }))
    expect(decision).toMatchObject({ effect: 'no-opinion', rule: '' })
  })

  test('and a request without a verb is told so', () => {
    const decision = everything.authorize(attributes(subject('ana'), { ...get, verb: '' }))
    expect(decision).toMatchObject({ reason: 'no rule allows a request without a verb', nearest: [] })
  })

  test('and nothing allows them however much is allowed, while the rest is', () => {
    expect(everything.authorize(attributes(subject('ana'), get)).effect).toBe('allow')
    expect(everything.authorize(attributes(subject('ana'), { ...get, name: 'a\u2028b' })).effect).toBe('allow')
  })
})

test('a caller whose name is no text is an error and no decision', () => {
  const authorizer = authorizerOf({ p: 'subjects: { groups: [dev] }, rules: [{ verbs: ["*"], resources: ["*"] }]' })
  expect(() => authorizer.authorize(attributes(subject('a\ud800', 'dev'), request('get pods web')))).toThrow(URIError)
})

describe('a deny cannot be dodged', () => {
  const denying = authorizerOf({
    p: `subjects: { users: [ana] }, rules: [{ verbs: ["*"], resources: ["*", "*/*"] },
      { effect: deny, verbs: ["*"], resources: ["*"], namespaces: ["prod*"] },
      { effect: deny, verbs: ["*"], resources: [secrets], resourceNames: ["db*"] }]`,
  })
  test.each([
    'get pods web -n prod',
    'get pods web -n prod\u2028x',
    'create pods/exec web -n prod',
    'get services/proxy web -n prod',
    'list pods',
    'watch pods',
    'deletecollection pods',
    'list pods web',
    'list widgets.example.com',
    'get secrets db -n default',
    'get secrets db\u2028x -n default',
    'list secrets -n default',
    'watch secrets -n default',
    'deletecollection secrets -n default',
    'escalate roles.rbac.authorization.k8s.io admin -n prod',
  ])('%s', (words) => {
    expect(denying.authorize(attributes(subject('ana'), request(words))).effect).not.toBe('allow')
  })

  test.each([
    'get pods web -n default',
    'list nodes',
    'list namespaces',
    'list clusterroles.rbac.authorization.k8s.io',
  ])('but %s is allowed', (words) => {
    expect(denying.authorize(attributes(subject('ana'), request(words))).effect).toBe('allow')
  })
})

describe('what is nearest', () => {
  function nearest(rules: string, words: string, rest = ''): readonly string[] {
    const near = authorizerOf({ p: `subjects: { users: [ana] }, ${rest} rules: [${rules}]` })
    const decision = near.authorize(attributes(subject('ana'), request(words)))
    expect(decision.effect).toBe('no-opinion')
    return decision.nearest.map(({ rule, missing }) => `${rule} lacks ${missing.join(', ')}`)
  }

  test.each<[rules: string, words: string, nearest: readonly string[]]>([
    ['{ verbs: [get], resources: [pods] }', 'delete pods web -n a', ['p#1 lacks verb "delete"']],
    ['{ verbs: [get], resources: [pods] }', 'get secrets db -n a', ['p#1 lacks resource "secrets"']],
    ['{ verbs: [get], resources: [pods] }', 'get pods/log web -n a', ['p#1 lacks resource "pods/log"']],
    ['{ verbs: ["*"], resources: ["*"] }', 'create pods/exec web -n a', ['p#1 lacks resource "pods/exec" by name']],
    ['{ verbs: ["*"], resources: ["*"] }', 'bind roles.x.io r -n a', ['p#1 lacks verb "bind" by name']],
    ['{ verbs: [get], resources: [pods], namespaces: [a] }', 'get pods web -n b', ['p#1 lacks namespace "b"']],
    ['{ verbs: [list], resources: [pods], namespaces: [a] }', 'list pods', ['p#1 lacks all namespaces']],
    ['{ verbs: [get], resources: [nodes], namespaces: [a] }', 'get nodes n', ['p#1 lacks the cluster scope']],
    ['{ verbs: [get], resources: [pods], resourceNames: [x] }', 'get pods web -n b', ['p#1 lacks resource name "web"']],
    [
      '{ verbs: [create], resources: [pods], resourceNames: [x] }',
      'create pods -n b',
      ['p#1 lacks requests without a resource name'],
    ],
    ['{ verbs: [get], resources: [pods], apiGroups: [""] }', 'get pods.x.io web -n b', ['p#1 lacks API group "x.io"']],
    ['{ verbs: [get], nonResourceURLs: [/x] }', 'get /metrics', ['p#1 lacks path "/metrics"']],
    ['{ verbs: [get], nonResourceURLs: [/x] }', 'get pods', []],
    ['{ verbs: [get], resources: [pods] }', 'get /metrics', []],
    [
      '{ effect: deny, verbs: [get], resources: [nodes] }, { verbs: [get], resources: [nodes] }',
      'get pods',
      ['p#2 lacks resource "pods"'],
    ],
  ])('%s: %s', (rules, words, expected) => {
    expect(nearest(rules, words)).toEqual(expected)
  })

  test('a condition is named whole', () => {
    const conditions =
      'conditions: { sourceIPs: [192.168.0.0/16], timeOfDay: { from: "08:00", to: "18:00", timeZone: UTC } },'
    expect(nearest('{ verbs: [get], resources: [pods] }', 'get pods web -n a', conditions)).toEqual([
      'p#1 lacks a source address in 192.168.0.0/16 and a time from 08:00 to 18:00 UTC',
    ])
  })

  test('first the fewest, then the least, then the first; three at most', () => {
    const rules = `{ verbs: [list], resources: [secrets], namespaces: [b] },
      { verbs: [get], resources: [configmaps] }, { verbs: [list], resources: [secrets] },
      { verbs: [get], resources: [secrets], namespaces: [c] }, { verbs: [list], resources: [secrets] }`
    expect(nearest(rules, 'get secrets db -n a')).toEqual([
      'p#4 lacks namespace "a"',
      'p#3 lacks verb "get"',
      'p#5 lacks verb "get"',
    ])
  })

  test('shows no rule of a policy that is about others', () => {
    const others = authorizerOf({
      mine: 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [nodes] }]',
      other: 'subjects: { users: [omar] }, rules: [{ verbs: [list], resources: [secrets] }]',
      elsewhere: 'subjects: { users: [ana] }, sockets: [staging], rules: [{ verbs: [list], resources: [secrets] }]',
    })
    const decision = others.authorize(attributes(subject('ana'), request('get secrets db -n a')))
    expect(decision.nearest.map(({ rule }) => rule)).toEqual(['mine#1'])
  })

  test('what a caller chose is quoted and cut', () => {
    const [line = ''] = nearest(
      '{ verbs: [get], resources: [pods], resourceNames: [x] }',
      `get pods \u001b[31m${'y'.repeat(300)} -n a`,
    )
    expect(line).toContain('resource name "\\x1b[31m')
    expect(line.length).toBeLessThan(120)
  })
})

describe('conditions', () => {
  const at = (time: string): number => Date.parse(`2026-07-01T${time}:00Z`)
  const conditional = authorizerOf({
    allow: `subjects: { users: [ana] }, conditions: { sourceIPs: [10.0.0.0/8], timeOfDay: { from: "08:00", to: "18:00", timeZone: Europe/Berlin } },
      rules: [{ verbs: [get], resources: [pods] }]`,
    deny: 'subjects: { users: [ana] }, conditions: { sourceIPs: ["10.9.0.0/16"] }, rules: [{ effect: deny, verbs: ["*"], resources: ["*"] }]',
  })
  test.each<[sourceIP: string, time: string, effect: string]>([
    ['10.1.2.3', '06:00', 'allow'],
    ['10.1.2.3', '05:59', 'no-opinion'],
    ['10.1.2.3', '16:00', 'no-opinion'],
    ['11.1.2.3', '12:00', 'no-opinion'],
    ['10.9.2.3', '12:00', 'deny'],
  ])('from %s at %s', (sourceIP, time, effect) => {
    const given = attributes(subject('ana'), request('get pods web -n a'), { sourceIP, atMs: at(time) })
    expect(conditional.authorize(given).effect).toBe(effect)
  })

  test('an address that is none is an error and no decision', () => {
    const given = attributes(subject('ana'), request('get pods web -n a'), { sourceIP: '' })
    expect(() => conditional.authorize(given)).toThrow(TypeError)
  })
})

describe('obligations', () => {
  const sessions = authorizerOf({
    a: `subjects: { users: [ana] }, rules: [
      { verbs: [create], resources: [pods/exec], namespaces: [default], session: { record: off, maxDuration: 8h } },
      { verbs: [create], resources: ["pods/*"], resourceNames: [db], session: { record: off, maxDuration: 1h } },
      { verbs: [create], resources: [pods/exec], namespaces: [other], session: { maxDuration: 1s } },
      { verbs: [get], resources: [pods] }]`,
  })
  test.each<[words: string, obligations: object]>([
    ['create pods/exec web -n default', { record: 'off', maxDurationMs: 28_800_000 }],
    ['create pods/exec db -n default', { record: 'off', maxDurationMs: 3_600_000 }],
    ['create pods/attach db -n default', { record: 'off', maxDurationMs: 3_600_000 }],
    ['create pods/exec web -n other', { maxDurationMs: 1000 }],
    ['get pods web -n default', {}],
  ])('%s', (words, obligations) => {
    const decision = sessions.authorize(attributes(subject('ana'), request(words)))
    expect(decision).toMatchObject({ effect: 'allow' })
    expect(decision.obligations).toEqual(obligations)
  })
})

test('two authorizers in one process know nothing of each other', () => {
  const specs = ['get', 'list'].map((verb) => ({
    p: `subjects: { users: [ana] }, rules: [{ verbs: [${verb}], resources: [pods] }]`,
  }))
  const [first, second] = specs.map(authorizerOf)
  for (let round = 0; round < 3; round += 1) {
    const effects = [first, second].map((one) =>
      ['get pods x -n a', 'list pods -n a'].map(
        (words) => one?.authorize(attributes(subject('ana'), request(words))).effect,
      ),
    )
    expect(effects).toEqual([
      ['allow', 'no-opinion'],
      ['no-opinion', 'allow'],
    ])
  }
})

describe('whether time alone can change a decision', () => {
  const authorizer = authorizerOf({
    hours:
      'subjects: { groups: [dev] }, conditions: { timeOfDay: { from: "08:00", to: "18:00", timeZone: UTC } }, rules: [{ verbs: [get], resources: [pods] }]',
    once: 'subjects: { groups: [ops] }, sockets: [staging], conditions: { notAfter: 2026-07-01T08:00:00Z }, rules: [{ effect: deny, verbs: [get], resources: [pods] }]',
    near: 'subjects: { groups: [office] }, conditions: { sourceIPs: [10.0.0.0/8] }, rules: [{ verbs: [get], resources: [pods] }]',
  })

  test.each<[group: string, socket: string, depends: boolean]>([
    ['dev', 'production', true],
    ['ops', 'staging', true],
    ['ops', 'production', false],
    ['office', 'production', false],
    ['nobody', 'production', false],
  ])('for a member of %s on %s: %s', (group, socket, depends) => {
    expect(authorizer.dependsOnTime(subject('ana', group), socket)).toBe(depends)
    expect(cached(authorizer).dependsOnTime(subject('ana', group), socket)).toBe(depends)
  })
})
