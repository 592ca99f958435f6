import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { subject } from '../../test/support/policy-requests.ts'
import { askedRequest } from './asked-request.ts'
import { type Caller, explainRequest } from './explain.ts'
import { explanation } from './explanation.ts'
import { splitWords } from './kubectl-words.ts'

const authorizer = authorizerOf({
  shop: `subjects: { users: [ana] }, rules: [
  { verbs: [list], resources: [pods] },
  { verbs: ["*"], resources: ["*"], apiGroups: [rbac.authorization.k8s.io] },
  { verbs: [bind], resources: [clusterroles] },
  { verbs: [update, patch], resources: [services, configmaps] },
  ]`,
  operators:
    'subjects: { users: [operator] }, rules: [{ verbs: [impersonate], resources: [users], resourceNames: [bob] }]',
  others: 'subjects: { users: [bob] }, rules: [{ verbs: [list], resources: [pods] }]',
})
const ana: Caller = {
  subject: subject('ana'),
  socket: 'production',
  sourceIP: '10.0.0.1',
  atMs: 0,
  forwardAs: 'connector',
}
const explain = (words: string, caller = ana) => explainRequest(authorizer, caller, askedRequest(splitWords(words)))

test('what became of a request is shown in one shape', () => {
  const allowed = explain('list pods -n payments')
  expect(JSON.parse(JSON.stringify(explanation(allowed)))).toEqual({
    requestInfo: allowed.requestInfo,
    decision: {
      effect: 'allow',
      rule: 'shop#1',
      location: 'shop.yaml:5',
      policyRevision: authorizer.revision,
      reason: 'rule shop#1 allows it',
      nearest: [],
    },
  })
  expect(JSON.stringify(explanation(explain('watch pods -n payments')))).toContain('"missing":["verb')
})

describe('what the gateway asks besides', () => {
  test('allows with the request itself', () => {
    const { decision, lacking, additional } = explain('create clusterrolebindings')
    expect([decision.effect, decision.rule, lacking]).toEqual(['allow', 'shop#2', null])
    expect(additional).toMatchObject([
      { requestInfo: { verb: 'bind', resource: 'clusterroles' }, decision: { effect: 'allow', rule: 'shop#3' } },
    ])
  })

  test.each<[words: string, verb: string, resource: string]>([
    ['create clusterroles', 'escalate', 'clusterroles'],
    ['patch roles/deployer -n shop', 'escalate', 'roles'],
    ['replace services/web', 'create', 'services'],
    ['apply --server-side configmaps/web', 'create', 'configmaps'],
    ['PUT /api/v1/namespaces/shop/services/web', 'create', 'services'],
  ])('denies %s for want of %s', (words, verb, resource) => {
    const { decision, lacking, additional } = explain(words)
    expect(decision.effect).toBe('no-opinion')
    expect(lacking).toMatchObject({ requestInfo: { verb, resource }, decision })
    expect(additional).toContain(lacking)
  })

  test('is shown to programs', () => {
    const shown = explanation(explain('create clusterroles'))
    expect(shown).toMatchObject({
      requestInfo: { verb: 'create' },
      decision: { effect: 'no-opinion' },
      additionalChecks: [{ requestInfo: { verb: 'escalate' }, decision: { effect: 'no-opinion' } }],
    })
    expect(JSON.stringify(shown)).not.toContain('obligations')
  })

  test('changes nothing of a request that is denied itself', () => {
    const { decision, additional, lacking } = explain('replace leases/web')
    expect([decision.effect, additional.length, lacking]).toEqual(['no-opinion', 1, null])
    expect(decision.nearest[0]).toMatchObject({ missing: ['API group "coordination.k8s.io"'] })
  })

  test.each(['patch configmaps/web', 'apply configmaps/web', 'apply --server-side=false configmaps/web', 'list pods'])(
    'is nothing for %s',
    (words) => {
      expect(explain(words)).toMatchObject({ decision: { effect: 'allow' }, additional: [], lacking: null })
    },
  )

  test('is asked of the sender, and the request of whom they would be', () => {
    const allowed = explain('list pods --as bob', { ...ana, subject: subject('operator') })
    expect(allowed).toMatchObject({ decision: { effect: 'allow', rule: 'others#1' }, lacking: null })
    expect(allowed.additional).toMatchObject([
      { requestInfo: { verb: 'impersonate', resource: 'users', name: 'bob' }, decision: { rule: 'operators#1' } },
    ])
    const denied = explain('list pods --as bob')
    expect(denied).toMatchObject({
      decision: { effect: 'no-opinion' },
      lacking: { requestInfo: { verb: 'impersonate' } },
    })
    const ownDenied = explain('list secrets --as bob', { ...ana, subject: subject('operator') })
    expect(ownDenied).toMatchObject({ decision: { effect: 'no-opinion' }, lacking: null })
  })

  test('is left to Kubernetes where that sees the subject', () => {
    const explained = explain('create clusterroles', { ...ana, forwardAs: 'subject' })
    expect(explained).toMatchObject({ decision: { effect: 'allow' }, additional: [], lacking: null })
  })
})
