import { afterEach, describe, expect, it } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

// Attacks H6, H7.

const SOCKET = '/sockets/production'
const RBAC = `${SOCKET}/apis/rbac.authorization.k8s.io/v1`
const CONFIG_MAP = `${SOCKET}/api/v1/namespaces/default/configmaps/c`

let gateway: StagedGateway

afterEach(async () => {
  await gateway.stop()
})

async function start(rules: string, forwardAs: 'connector' | 'subject' = 'connector'): Promise<void> {
  const policy = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: developers }
spec:
  subjects: { groups: [payments-dev] }
  rules:
${rules}
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: robots }
spec: { subjects: { users: [robot@example.com] }, rules: [{ verbs: [get], resources: [configmaps] }] }
`
  gateway = await startStagedGateway({ policy, forwardAs })
}

const statusOf = async (...args: Parameters<StagedGateway['fetch']>): Promise<number> =>
  (await gateway.fetch(...args)).statusCode

describe('a server-side apply', () => {
  const apply = { method: 'PATCH', headers: { 'Content-Type': 'application/apply-patch+yaml' }, body: '{}' }

  it('needs the right to create beside the right to patch', async () => {
    await start('  - { verbs: [patch], resources: [configmaps] }')
    const { statusCode, body } = await gateway.fetch(CONFIG_MAP, apply)
    expect(statusCode).toBe(403)
    expect(body).toContain('cannot create resource \\"configmaps\\"')
    expect(gateway.apiServer.seen).toEqual([])
    expect(await statusOf(CONFIG_MAP, { ...apply, headers: { 'Content-Type': 'application/merge-patch+json' } })).toBe(
      200,
    )
  })

  it('passes with both', async () => {
    await start('  - { verbs: [patch, create], resources: [configmaps] }')
    expect(await statusOf(CONFIG_MAP, apply)).toBe(200)
  })
})

describe('a write of RBAC objects with the connector’s identity', () => {
  const create = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' }

  it('needs the verb that Kubernetes would ask for, by name', async () => {
    await start('  - { verbs: ["*"], resources: ["*"] }')
    for (const resource of [
      'clusterroles',
      'clusterrolebindings',
      'namespaces/default/roles',
      'namespaces/default/rolebindings',
    ]) {
      const { statusCode, body } = await gateway.fetch(`${RBAC}/${resource}`, create)
      expect(statusCode).toBe(403)
      expect(body).toMatch(/cannot (?:escalate|bind) resource/)
    }
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('passes with it', async () => {
    await start('  - { verbs: [create, escalate, bind], resources: [clusterroles, clusterrolebindings] }')
    expect(await statusOf(`${RBAC}/clusterroles`, create)).toBe(200)
    expect(await statusOf(`${RBAC}/clusterrolebindings`, create)).toBe(200)
  })

  it('is left to the cluster’s own check where the subject is the one it sees', async () => {
    await start('  - { verbs: [create], resources: [clusterroles] }', 'subject')
    expect(await statusOf(`${RBAC}/clusterroles`, create)).toBe(200)
  })
})

describe('a certificate with the connector’s identity', () => {
  const CSRS = `${SOCKET}/apis/certificates.k8s.io/v1/certificatesigningrequests`
  const body = '{}'
  const headers = { 'Content-Type': 'application/json' }
  const RULE = 'apiGroups: [certificates.k8s.io], resources:'

  it.each([
    ['approval', 'approve'],
    ['status', 'sign'],
  ])('needs the verb on signers that Kubernetes would ask for a write of %s: %s', async (subresource, verb) => {
    await start(`  - { verbs: ["*"], ${RULE} ["*"] }`)
    for (const method of ['PUT', 'PATCH']) {
      const answer = await gateway.fetch(`${CSRS}/mine/${subresource}`, { method, headers, body })
      expect(answer.statusCode).toBe(403)
      expect(answer.body).toContain(`cannot ${verb} resource \\"signers\\" in API group \\"certificates.k8s.io\\"`)
    }
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('needs it for any signer, since which one it is stands in the cluster', async () => {
    const both = `[certificatesigningrequests/approval, certificatesigningrequests/status]`
    await start(`  - { verbs: [update], ${RULE} ${both} }
  - { verbs: [approve, sign], ${RULE} [signers], resourceNames: ["*"] }`)
    expect(await statusOf(`${CSRS}/mine/approval`, { method: 'PUT', headers, body })).toBe(403)
    expect(await statusOf(`${CSRS}/mine/status`, { method: 'PUT', headers, body })).toBe(403)
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('is approved with one of them and signed with the other', async () => {
    await start(`  - { verbs: [update], ${RULE} ["certificatesigningrequests/*"] }
  - { verbs: [approve], ${RULE} [signers] }`)
    expect(await statusOf(`${CSRS}/mine/approval`, { method: 'PUT', headers, body })).toBe(200)
    expect(await statusOf(`${CSRS}/mine/status`, { method: 'PUT', headers, body })).toBe(403)
    expect(gateway.apiServer.seen).toHaveLength(1)
  })

  it('is requested only by those who may request one of a node, for the request is the connector’s', async () => {
    await start(`  - { verbs: [create, patch], ${RULE} [certificatesigningrequests] }`)
    const answer = await gateway.fetch(CSRS, { method: 'POST', headers, body })
    expect(answer.statusCode).toBe(403)
    expect(answer.body).toContain('cannot create resource \\"certificatesigningrequests/nodeclient\\"')
    const apply = { method: 'PATCH', headers: { 'Content-Type': 'application/apply-patch+yaml' }, body }
    expect(await statusOf(`${CSRS}/mine`, apply)).toBe(403)
    expect(gateway.apiServer.seen).toEqual([])
  })

  it('is requested with that right', async () => {
    await start(`  - { verbs: [create], ${RULE} [certificatesigningrequests, certificatesigningrequests/nodeclient] }`)
    expect(await statusOf(CSRS, { method: 'POST', headers, body })).toBe(200)
  })

  it('is the cluster’s own matter where the subject is the one it sees', async () => {
    await start(
      `  - { verbs: [create, update], ${RULE} [certificatesigningrequests, certificatesigningrequests/approval] }`,
      'subject',
    )
    expect(await statusOf(CSRS, { method: 'POST', headers, body })).toBe(200)
    expect(await statusOf(`${CSRS}/mine/approval`, { method: 'PUT', headers, body })).toBe(200)
  })
})

describe('kubectl --as', () => {
  const as = (...lines: string[]) => ({
    headers: Object.fromEntries(lines.map((line) => line.split('=', 2))) as Record<string, string>,
  })

  it('is decided as the one who was assumed, forwarded as them, and kept with both names', async () => {
    await start('  - { verbs: [impersonate], resources: [users], resourceNames: [robot@example.com] }', 'subject')
    const { statusCode, headers } = await gateway.fetch(CONFIG_MAP, as('Impersonate-User=robot@example.com'))
    expect(statusCode).toBe(200)
    const [seen] = gateway.apiServer.seen
    expect(seen?.rawHeaders).toEqual(expect.arrayContaining(['Impersonate-User', 'robot@example.com']))
    expect(seen?.rawHeaders).not.toContain('ana@example.com')
    const events = async () => (await gateway.events()).filter(({ auditID }) => auditID === headers['audit-id'])
    await expect.poll(events).toEqual([
      expect.objectContaining({
        user: expect.objectContaining({ username: 'ana@example.com' }) as unknown,
        impersonatedUser: { username: 'robot@example.com' },
      }),
    ])
  })

  it('loses the sender’s own rights', async () => {
    await start('  - { verbs: [impersonate, get], resources: [users, configmaps, secrets] }')
    expect(await statusOf(`${SOCKET}/api/v1/namespaces/default/secrets/s`)).toBe(200)
    expect(
      await statusOf(`${SOCKET}/api/v1/namespaces/default/secrets/s`, as('Impersonate-User=robot@example.com')),
    ).toBe(403)
  })

  it('is refused for anybody or any group that no rule names', async () => {
    await start('  - { verbs: [impersonate], resources: [users], resourceNames: [robot@example.com] }')
    expect(await statusOf(CONFIG_MAP, as('Impersonate-User=root@example.com'))).toBe(403)
    expect(
      await statusOf(CONFIG_MAP, as('Impersonate-User=robot@example.com', 'Impersonate-Group=system:masters')),
    ).toBe(403)
    expect(await statusOf(CONFIG_MAP, as('Impersonate-Group=payments-dev'))).toBe(400)
    expect(gateway.apiServer.seen).toEqual([])
  })
})

describe('a cluster that cannot list rights, as one with a webhook authorizer', () => {
  const KNOWN = {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  }
  const USERS = { verb: 'impersonate', resource: 'users' }
  const PODS = { verb: 'list', resource: 'pods', namespace: 'default' }

  type Access = StagedGateway['apiServer']['ownAccess']

  async function open(
    forwardAs: 'connector' | 'subject',
    access: Access,
    rules: readonly object[] = [],
  ): Promise<void> {
    const stage = (apiServer: StagedGateway['apiServer']): void => {
      apiServer.ownRules = [KNOWN, ...rules]
      apiServer.ownAccess = access
    }
    gateway = await startStagedGateway({ forwardAs, stage })
  }

  const readiness = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${gateway.opsPort}/readyz?verbose`)).text()

  /** Asked again at once, since a request has failed. */
  async function meet(access: Access): Promise<void> {
    gateway.apiServer.ownAccess = access
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(403, { 'Content-Type': 'application/json' }).end('{"kind":"Status","code":403}')
    }
    expect(await statusOf(`${SOCKET}/api/v1/namespaces/default/pods`)).toBe(403)
  }

  it('is asked whether the connector may act as people, by which the loss of that shows, and its return', async () => {
    await open('subject', ({ verb }) => verb === 'impersonate')
    await expect.poll(readiness).toContain('[+]socket/production ok\n')
    await meet(() => false)
    await expect.poll(readiness).toMatch(/\[-\]socket\/production failed: .* lacks the verb impersonate\n/)
    gateway.apiServer.ownAccess = () => true
    await expect.poll(readiness).toContain('[+]socket/production ok\n')
    for (const asked of gateway.apiServer.accessAsked) expect(asked).toEqual(USERS)
  })

  it('is asked whether the connector may list pods, by which the loss of all rights shows', async () => {
    await open('connector', ({ verb }) => verb === 'list')
    await expect.poll(readiness).toContain('[+]socket/production ok\n')
    await meet(() => false)
    await expect
      .poll(readiness)
      .toMatch(
        /\[\+\]socket\/production ok, but the credential of the connector has no rights .*; look at its bindings\n/,
      )
    for (const asked of gateway.apiServer.accessAsked) expect(asked).toEqual(PODS)
  })

  it.each([
    ['connector', { verbs: ['get'], apiGroups: [''], resources: ['configmaps'] }],
    ['subject', { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['ana'] }],
  ] as const)('is asked nothing more where the part that it lists is enough: %s', async (forwardAs, rule) => {
    await open(forwardAs, () => false, [rule])
    await expect.poll(readiness).toContain('[+]socket/production ok\n')
    expect(gateway.apiServer.accessAsked).toEqual([])
  })

  it.each(['connector', 'subject'] as const)('is not accused when its authorizer fails: %s', async (forwardAs) => {
    await open(forwardAs, () => null)
    await expect.poll(readiness).toContain('[+]socket/production ok\n')
    expect(gateway.apiServer.accessAsked).not.toEqual([])
  })
})
