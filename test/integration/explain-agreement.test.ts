import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explainRequestLine } from '../../src/policy/explain.ts'
import { createAuthorizer } from '../../src/policy/policy-authorizer.ts'
import { loadPolicies } from '../../src/policy/policy-set.ts'
import { subject } from '../support/policy-requests.ts'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: nearly-everything }
spec:
  subjects: { groups: [payments-dev] }
  rules:
    - { verbs: ['*'], resources: ['*', '*/*'], namespaces: [default] }
    - { verbs: [escalate], resources: [roles], namespaces: [default] }
    - { verbs: ['*'], resources: [clusterroles, clusterrolebindings, certificatesigningrequests/approval] }
    - { verbs: [update, patch, delete], resources: [services, leases, posternpolicies], namespaces: [team] }
    - { verbs: [create], resources: [pods/exec], namespaces: [team] }
    - { verbs: [bind], resources: [clusterroles] }
    - { effect: deny, verbs: [delete], resources: [services] }
`

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const CERTIFICATES = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const targets: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...[`${RBAC}/clusterroles`, `${RBAC}/clusterroles/admin`, `${RBAC}/clusterrolebindings`, '/version', '/metrics'],
    ...[CERTIFICATES, `${CERTIFICATES}/mine`, `${CERTIFICATES}/mine/approval`, `${CERTIFICATES}/mine/status`],
  ),
  fc
    .record({
      namespace: fc.constantFrom('default', 'team', 'other'),
      kind: fc.constantFrom(
        ...['/api/v1 pods', '/api/v1 services', '/api/v1 secrets', `${RBAC} roles`, `${RBAC} rolebindings`],
        ...['/apis/coordination.k8s.io/v1 leases', '/apis/postern.dev/v1alpha1 posternpolicies'],
      ),
      rest: fc.constantFrom('', '/web', '/web/status', '/web/exec', '/web//log', '?watch=1'),
    })
    .map(({ namespace, kind, rest }) => kind.replace(' ', `/namespaces/${namespace}/`) + rest),
)
const requests = fc.record({ method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'), target: targets })

describe.each(['connector', 'subject'] as const)(
  'postern policy explain, where Kubernetes sees the %s',
  (forwardAs) => {
    let gateway: StagedGateway
    beforeAll(async () => {
      gateway = await startStagedGateway({ policy: POLICY, forwardAs })
    })
    afterAll(async () => {
      await gateway.stop()
    })

    it('says of a request what the gateway then answers', async () => {
      const authorizer = createAuthorizer(loadPolicies([{ file: 'policy.yaml', text: POLICY }]))
      const ana = subject('ana@example.com', 'payments-dev', 'system:authenticated')
      const caller = { subject: ana, socket: 'production', sourceIP: '127.0.0.1', atMs: 0, forwardAs }
      await fc.assert(
        fc.asyncProperty(requests, async ({ method, target }) => {
          const explained = explainRequestLine(authorizer, caller, method, target)
          const expected =
            'error' in explained ? explained.error.code : explained.decision.effect === 'allow' ? 200 : 403
          gateway.apiServer.seen.length = 0
          const { statusCode } = await gateway.fetch(`/sockets/production${target}`, { method })
          expect(statusCode).toBe(expected)
          expect(gateway.apiServer.seen).toHaveLength(expected === 200 ? 1 : 0)
        }),
        { numRuns: 300 },
      )
    })
  },
)
