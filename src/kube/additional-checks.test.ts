import { describe, expect, it } from 'vitest'
import { additionalChecks } from './additional-checks.ts'
import type { ForwardAs } from './impersonation.ts'
import { parseRequest } from './parsed-request.ts'

const asked = (method: string, target: string, contentType = '', forwardAs: ForwardAs = 'connector') => {
  const { requestInfo } = parseRequest(method, target)
  const headers = contentType === '' ? [] : ['Content-Type', contentType]
  return additionalChecks(requestInfo, headers, forwardAs).map(({ verb, resource, subresource, namespace, name }) =>
    [verb, subresource === '' ? resource : `${resource}/${subresource}`, namespace, name]
      .filter((part) => part !== '')
      .join(' '),
  )
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const CERTIFICATES = '/apis/certificates.k8s.io/v1'
const POSTERN = '/apis/postern.dev/v1alpha1'
const DEVICES = '/apis/resource.k8s.io/v1/namespaces/shop'
const CORE = '/api/v1/namespaces/shop'

describe('a request that may make an object', () => {
  it.each([
    ['PATCH', `${CORE}/configmaps/c`, 'application/apply-patch+yaml', ['create configmaps shop c']],
    ['PATCH', `${CORE}/configmaps/c`, 'Application/Apply-Patch+CBOR; charset=x', ['create configmaps shop c']],
    ['PATCH', `${CORE}/configmaps/c`, 'application/merge-patch+json', []],
    ['PATCH', `${CORE}/pods/p/status`, 'application/apply-patch+yaml', []],
    ['PUT', `${CORE}/services/s`, 'application/json', ['create services shop s']],
    ['PUT', `/apis/coordination.k8s.io/v1/namespaces/shop/leases/l`, '', ['create leases shop l']],
    ['PUT', `${CORE}/services/s/status`, '', ['create services/status shop s']],
    ['PUT', `${CORE}/pods/p/status`, '', []],
    ['PUT', `${CORE}/configmaps/c`, '', []],
    ['PUT', `/apis/example.com/v1/namespaces/shop/services/s`, '', []],
  ])('%s %s %s needs %j too', (method, target, contentType, expected) => {
    expect(asked(method, target, contentType)).toEqual(expected)
  })
})

describe('a request that may hand out rights', () => {
  it.each([
    ['POST', `${RBAC}/clusterroles`, ['escalate clusterroles']],
    ['PATCH', `${RBAC}/namespaces/shop/roles/r`, ['escalate roles shop r']],
    ['PUT', `${RBAC}/namespaces/shop/roles/r`, ['create roles shop r', 'escalate roles shop r']],
    ['POST', `${RBAC}/namespaces/shop/rolebindings`, ['bind clusterroles']],
    ['POST', `${RBAC}/clusterrolebindings`, ['bind clusterroles']],
    ['DELETE', `${RBAC}/clusterroles/r`, []],
    ['GET', `${RBAC}/clusterroles/r`, []],
    ['POST', `/apis/example.com/v1/clusterroles`, []],
    ['PUT', `${CERTIFICATES}/certificatesigningrequests/c/approval`, ['approve signers']],
    ['PATCH', `${CERTIFICATES}/certificatesigningrequests/c/approval`, ['approve signers']],
    ['PUT', `${CERTIFICATES}/certificatesigningrequests/c/status`, ['sign signers']],
    ['PATCH', `/apis/certificates.k8s.io/v1beta1/certificatesigningrequests/c/status`, ['sign signers']],
    ['PUT', `/apis/certificates.k8s.io/v1beta1/namespaces/shop/podcertificaterequests/p/status`, ['sign signers']],
    ['POST', `/apis/certificates.k8s.io/v1beta1/clustertrustbundles`, ['attest signers']],
    ['PUT', `/apis/certificates.k8s.io/v1beta1/clustertrustbundles/b`, ['attest signers']],
    ['POST', `${CERTIFICATES}/certificatesigningrequests`, ['create certificatesigningrequests/nodeclient']],
    ['PATCH', `${CERTIFICATES}/certificatesigningrequests/c`, ['create certificatesigningrequests/nodeclient']],
    ['PUT', `${CERTIFICATES}/certificatesigningrequests/c`, []],
    ['DELETE', `${CERTIFICATES}/certificatesigningrequests/c`, []],
    ['GET', `${CERTIFICATES}/certificatesigningrequests/c/approval`, []],
    ['PUT', `/apis/example.com/v1/certificatesigningrequests/c/approval`, []],
    ['POST', `/certificates.k8s.io/certificatesigningrequests`, []],
    [
      'PUT',
      `${DEVICES}/resourceclaims/c/status`,
      ['update resourceclaims/binding', 'arbitrary-node:update resourceclaims/driver'],
    ],
    [
      'PATCH',
      `${DEVICES}/resourceclaims/c/status`,
      ['patch resourceclaims/binding', 'arbitrary-node:patch resourceclaims/driver'],
    ],
    ['PUT', `${DEVICES}/resourceclaims/c`, []],
    ['POST', `${POSTERN}/clusterposternpolicies`, ['escalate clusterposternpolicies']],
    ['PUT', `${POSTERN}/namespaces/shop/posternpolicies/p`, ['escalate posternpolicies shop p']],
    ['PATCH', `${POSTERN}/namespaces/shop/posternpolicies/p`, ['escalate posternpolicies shop p']],
    ['DELETE', `${POSTERN}/clusterposternpolicies/p`, ['escalate clusterposternpolicies p']],
    ['DELETE', `${POSTERN}/namespaces/shop/posternpolicies`, ['escalate posternpolicies shop']],
    ['PATCH', `${POSTERN}/clusterposternpolicies/p/status`, []],
    ['GET', `${POSTERN}/clusterposternpolicies/p`, []],
    ['POST', `/apis/example.com/v1/clusterposternpolicies`, []],
  ])('%s %s needs %j', (method, target, expected) => {
    expect(asked(method, target)).toEqual(expected)
  })

  it('is left to Kubernetes where that sees the subject, but for policies, of which it knows nothing', () => {
    const own = (method: string, target: string) => asked(method, target, '', 'subject')
    expect(own('POST', `${RBAC}/clusterroles`)).toEqual([])
    expect(own('PUT', `${RBAC}/namespaces/shop/roles/r`)).toEqual(['create roles shop r'])
    expect(own('PUT', `${CERTIFICATES}/certificatesigningrequests/c/approval`)).toEqual([])
    expect(own('POST', `${POSTERN}/clusterposternpolicies`)).toEqual(['escalate clusterposternpolicies'])
  })
})
