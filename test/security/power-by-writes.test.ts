import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks H6, H7, H8, H13.
//
// kube-apiserver asks further rights of whoever makes roles, bindings, tokens and, by a patch, objects. Where it sees the
// connector it asks them of the connector, which has them: the gateway has to ask them of the person.

const attacked = attackedGateway({
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: nearly-everything }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*"], apiGroups: [rbac.authorization.k8s.io, certificates.k8s.io] }
  - { verbs: [get, list, update, patch, delete], resources: [pods, services, configmaps] }
`,
})

const RBAC = `${SOCKET}/apis/rbac.authorization.k8s.io/v1`
const CERTIFICATES = `${SOCKET}/apis/certificates.k8s.io/v1`
const DEFAULT = `${SOCKET}/api/v1/namespaces/default`
const APPLY = 'application/apply-patch+yaml'

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['POST', `${RBAC}/clusterroles`, 'escalate'],
    ['PUT', `${RBAC}/clusterroles/admin`, 'escalate'],
    ['PATCH', `${RBAC}/clusterroles/admin`, 'escalate'],
    ['POST', `${RBAC}/namespaces/default/roles`, 'escalate'],
    ['POST', `${RBAC}/clusterrolebindings`, 'bind'],
    ['PUT', `${RBAC}/clusterrolebindings/admin`, 'bind'],
    ['PATCH', `${RBAC}/namespaces/default/rolebindings/admin`, 'bind'],
    ['POST', `${SOCKET}/apis/rbac.authorization.k8s.io/v1beta1/clusterrolebindings`, 'bind'],
    ['PUT', `${CERTIFICATES}/certificatesigningrequests/mine/approval`, 'approve'],
    ['PATCH', `${CERTIFICATES}/certificatesigningrequests/mine/approval`, 'approve'],
    ['PUT', `${CERTIFICATES}/certificatesigningrequests/mine/status`, 'sign'],
    ['PATCH', `${SOCKET}/apis/certificates.k8s.io/v1beta1/certificatesigningrequests/mine/status`, 'sign'],
    ['PUT', `${SOCKET}/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests/p/status`, 'sign'],
    ['POST', `${SOCKET}/apis/certificates.k8s.io/v1beta1/clustertrustbundles`, 'attest'],
  ])('%s %s needs the verb %s by its name', async (method, target, verb) => {
    const answer = await attacked.send(protocol, { method, target, body: '{}' })
    await attacked.expectRefused(answer, { ...FORBIDDEN, message: `cannot ${verb} resource` })
  })

  test.each([APPLY, 'application/apply-patch+cbor', 'Application/Apply-Patch+YAML', `${APPLY}; charset=utf-8`])(
    'a patch as %s may create, and needs create',
    async (type) => {
      const lines = [['Content-Type', type]] as const
      const request = { method: 'PATCH', target: `${DEFAULT}/pods/web?force=true`, body: '{}', lines }
      await attacked.expectRefused(await attacked.send(protocol, request), { ...FORBIDDEN, message: 'cannot create' })
    },
  )

  test('a PUT of a kind that it creates needs create', async () => {
    const answer = await attacked.send(protocol, { method: 'PUT', target: `${DEFAULT}/services/web`, body: '{}' })
    await attacked.expectRefused(answer, { ...FORBIDDEN, message: 'cannot create' })
  })

  test.each(['application/merge-patch+json', 'application/json-patch+json', 'application/strategic-merge-patch+json'])(
    'a patch as %s creates nothing and needs no more',
    async (type) => {
      const lines = [['Content-Type', type]] as const
      const answer = await attacked.send(protocol, {
        method: 'PATCH',
        target: `${DEFAULT}/pods/web`,
        body: '{}',
        lines,
      })
      expect(attacked.expectForwarded(answer).method).toBe('PATCH')
    },
  )

  test.each([
    ['a token of a service account', 'POST', `${DEFAULT}/serviceaccounts/admin/token`],
    ['somebody else’s review', 'POST', `${SOCKET}/apis/authorization.k8s.io/v1/subjectaccessreviews`],
    ['a review of a token', 'POST', `${SOCKET}/apis/authentication.k8s.io/v1/tokenreviews`],
    ['a pod', 'POST', `${DEFAULT}/pods`],
    ['a pod by dry run', 'POST', `${DEFAULT}/pods?dryRun=All`],
    ['a binding of a pod', 'POST', `${DEFAULT}/pods/web/binding`],
    ['an eviction', 'POST', `${DEFAULT}/pods/web/eviction`],
  ])('%s is not among what was granted', async (_, method, target) => {
    await attacked.expectRefused(await attacked.send(protocol, { method, target, body: '{}' }), FORBIDDEN)
  })

  test.each(['dryRun=None', 'dryRun=All', 'dryRun='])('a delete with %s is a delete', async (query) => {
    const target = `${DEFAULT}/secrets/db?${query}`
    const event = await attacked.expectRefused(await attacked.send(protocol, { method: 'DELETE', target }), FORBIDDEN)
    expect(event.verb).toBe('delete')
  })

  test.each([
    ['DELETE', `${DEFAULT}/pods/web?ignoreStoreReadErrorWithClusterBreakingPotential=true`],
    ['DELETE', `${DEFAULT}/pods/web?ignoreStoreReadErrorWithClusterBreakingPotential=false`],
    ['DELETE', `${DEFAULT}/pods/web?ignore%53toreReadErrorWithClusterBreakingPotential`],
    ['GET', `${DEFAULT}/pods/web/log?insecureSkipTLSVerifyBackend=true`],
  ])('%s %s has an option that nobody is let have', async (method, target) => {
    await attacked.expectRefused(await attacked.send(protocol, { method, target }), BAD_REQUEST)
  })

  test.each(['selfsubjectaccessreviews', 'namespaces/default/selfsubjectaccessreviews', 'selfsubjectaccessreviews/x'])(
    '%s is answered by the gateway, whose answer is about the person',
    async (path) => {
      const target = `${SOCKET}/apis/authorization.k8s.io/v1/${path}`
      const body = '{"spec":{"resourceAttributes":{"verb":"create","resource":"pods","namespace":"default"}}}'
      const answer = await attacked.send(protocol, { method: 'POST', target, body })
      expect(answer).toMatchObject({ statusCode: 201 })
      expect(JSON.parse('body' in answer ? answer.body : '')).toMatchObject({ status: { allowed: false } })
      expect(attacked.seen).toEqual([])
    },
  )
})
