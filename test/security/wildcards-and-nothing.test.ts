import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attack H2.
//
// A pattern that matches the empty string grants what has no group, no namespace or no name: the core group, the whole
// cluster, the whole collection (the class of CVE-2023-32194).

const policy = (name: string, rule: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: ${name} }
spec:
  subjects: { groups: [${name}] }
  rules:
  - ${rule}
`

const attacked = attackedGateway({
  policy: [
    policy('core', '{ verbs: [get, list], apiGroups: [""], resources: [pods] }'),
    policy('any-namespace', '{ verbs: ["*"], resources: ["*"], namespaces: ["*"] }'),
    policy('prefixed-namespace', '{ verbs: ["*"], resources: ["*"], namespaces: ["team-*"] }'),
    policy('any-name', '{ verbs: ["*"], resources: ["*"], resourceNames: ["*"] }'),
    policy('own-namespace', '{ verbs: ["*"], resources: ["*"], namespaces: ["{{ subject.username }}"] }'),
    policy('any-subresource', '{ verbs: ["*"], resources: ["pods/*"] }'),
    policy('any-path', '{ verbs: ["*"], nonResourceURLs: ["/logs/*"] }'),
  ].join('---\n'),
})

function tokenOf(group: string): Promise<string> {
  return attacked.gateway.issuer.sign({ groups: [group] })
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['core', 'GET', '/apis/metrics.k8s.io/v1beta1/pods'],
    ['core', 'GET', '/apis/x/v1/namespaces/default/pods/web'],
    ['any-namespace', 'GET', '/api/v1/secrets'],
    ['any-namespace', 'GET', '/api/v1/nodes/n1'],
    ['any-namespace', 'GET', '/api/v1/nodes'],
    ['any-namespace', 'POST', '/api/v1/namespaces'],
    ['any-namespace', 'GET', '/api/v1/namespaces'],
    ['any-namespace', 'OPTIONS', '/api/v1/namespaces/default/pods'],
    ['any-namespace', 'GET', '/metrics'],
    ['prefixed-namespace', 'GET', '/api/v1/secrets'],
    ['prefixed-namespace', 'GET', '/api/v1/namespaces/team/secrets'],
    ['prefixed-namespace', 'GET', '/api/v1/namespaces/xteam-a/secrets'],
    ['any-name', 'GET', '/api/v1/namespaces/default/secrets'],
    ['any-name', 'GET', '/api/v1/namespaces/default/secrets?watch=1'],
    ['any-name', 'DELETE', '/api/v1/namespaces/default/secrets'],
    ['any-name', 'POST', '/api/v1/namespaces/default/secrets'],
    ['any-name', 'PUT', '/api/v1/namespaces/default/secrets'],
    ['any-name', 'PATCH', '/api/v1/namespaces/default/secrets'],
    ['own-namespace', 'GET', '/api/v1/secrets'],
    ['own-namespace', 'GET', '/api/v1/namespaces/default/secrets'],
    ['own-namespace', 'GET', '/api/v1/namespaces/ana/secrets'],
    ['own-namespace', 'GET', '/api/v1/namespaces/%7B%7B%20subject.username%20%7D%7D/secrets'],
    ['any-subresource', 'GET', '/api/v1/namespaces/default/pods/web'],
    ['any-subresource', 'GET', '/api/v1/namespaces/default/services/web/status'],
    ['any-path', 'GET', '/logs'],
    ['any-path', 'GET', '/logsx'],
    ['any-path', 'GET', '/api/v1/namespaces/logs/pods'],
  ])('%s does not grant %s %s', async (group, method, path) => {
    const answer = await attacked.send(protocol, { method, target: SOCKET + path, token: await tokenOf(group) })
    await attacked.expectRefused(answer, FORBIDDEN)
  })

  test.each([
    ['core', '/api/v1/namespaces/default/pods/web'],
    ['any-namespace', '/api/v1/namespaces/default/secrets/db'],
    ['prefixed-namespace', '/api/v1/namespaces/team-a/secrets/db'],
    ['any-name', '/api/v1/namespaces/default/secrets/db'],
    ['own-namespace', '/api/v1/namespaces/ana@example.com/secrets/db'],
    ['any-subresource', '/api/v1/namespaces/default/pods/web/log'],
    ['any-path', '/logs/kubelet.log'],
  ])('%s grants %s', async (group, path) => {
    const answer = await attacked.send(protocol, { target: SOCKET + path, token: await tokenOf(group) })
    expect(attacked.expectForwarded(answer).target).toBe(path)
  })
})
