import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { subject } from '../../test/support/policy-requests.ts'

const authorizer = authorizerOf({
  a: `sockets: [production], subjects: { groups: [dev] }, rules: [
    { verbs: [list], resources: [pods], apiGroups: [""] },
    { verbs: [get], resources: ["*"], namespaces: [default, payments] },
    { verbs: [create], resources: [pods/exec], namespaces: [default] },
    { verbs: [update], resources: [configmaps], namespaces: [default], resourceNames: [web] },
    { verbs: [get], nonResourceURLs: [/metrics] }]`,
  b: 'sockets: [production], subjects: { groups: [ops] }, rules: [{ effect: deny, verbs: ["*"], resources: [secrets] }]',
  c: 'subjects: { users: [night] }, conditions: { sourceIPs: [10.0.0.0/8] }, rules: [{ verbs: ["*"], resources: ["*", "*/*"] }]',
})

describe('reaching a socket', () => {
  test.each<
    [name: string, who: ReturnType<typeof subject>, socket: string, reaches: boolean, summary: readonly string[]]
  >([
    ['by a group', subject('ana', 'dev'), 'production', true, ['read', 'write in default', 'exec in default']],
    ['not another socket', subject('ana', 'dev'), 'staging', false, []],
    ['not by rules that deny', subject('omar', 'ops'), 'production', false, []],
    ['not without a policy', subject('eve'), 'production', false, []],
    [
      'whatever the conditions',
      subject('night'),
      'staging',
      true,
      ['read', 'write', 'exec', 'attach', 'port-forward', 'proxy'],
    ],
  ])('%s', (_, who, socket, reaches, summary) => {
    expect(authorizer.mayReach(who, socket)).toBe(reaches)
    expect(authorizer.summary(who, socket)).toEqual(summary)
  })

  test('a summary names three namespaces at most', () => {
    const many = authorizerOf({
      p: 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods], namespaces: [a, b] }, { verbs: [get], resources: [pods], namespaces: [b, c, d] }]',
    })
    expect(many.summary(subject('ana'), 'x')).toEqual(['read in a, b, c, …'])
  })
})

describe('the rules for a self review', () => {
  const ALL_BUT_NAMED = '`*` grants neither exec nor what else has to be named'
  const builtIn = { verbs: ['create'], apiGroups: ['authorization.k8s.io'] }

  test('are those of the namespace, and what is built in', () => {
    const rules = authorizer.rulesFor(subject('ana', 'dev'), 'production', 'payments')
    expect(rules.resourceRules.slice(0, 2)).toEqual([
      { verbs: ['list'], apiGroups: [''], resources: ['pods'] },
      { verbs: ['get'], apiGroups: ['*'], resources: ['*'] },
    ])
    expect(rules.resourceRules[2]).toMatchObject(builtIn)
    expect(rules.resourceRules).toHaveLength(4)
    expect(rules.nonResourceRules[0]).toEqual({ verbs: ['get'], nonResourceURLs: ['/metrics'] })
    expect(rules.nonResourceRules[1]?.nonResourceURLs).toContain('/api')
    expect(rules).toMatchObject({ incomplete: true, evaluationError: ALL_BUT_NAMED })
    expect(authorizer.rulesFor(subject('ana'), 'production', 'payments')).toMatchObject({
      incomplete: false,
      evaluationError: '',
    })
  })

  test('have their names', () => {
    expect(authorizer.rulesFor(subject('ana', 'dev'), 'production', 'default').resourceRules).toContainEqual({
      verbs: ['update'],
      apiGroups: ['*'],
      resources: ['configmaps'],
      resourceNames: ['web'],
    })
  })

  test.each<[name: string, who: ReturnType<typeof subject>, error: string]>([
    ['rules that deny', subject('x', 'dev', 'ops'), `rules that deny are not listed; ${ALL_BUT_NAMED}`],
    ['conditions', subject('night'), 'some rules depend on the time, the source address or claims'],
  ])('are incomplete with %s', (_, who, evaluationError) => {
    expect(authorizer.rulesFor(who, 'production', 'default')).toMatchObject({ incomplete: true, evaluationError })
  })
})
