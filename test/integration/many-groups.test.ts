import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectPortal } from '../../src/client/portal.ts'
import { exchangeStream } from '../support/raw-exchange.ts'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

/** A person in a thousand groups, in their token or beyond it, through a whole connector. */

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: one-group-of-many }
spec:
  subjects: { groups: [team-0777] }
  rules:
  - { verbs: [get, list], resources: [pods], namespaces: [default] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: not-for-contractors }
spec:
  subjects: { groups: [team-0999] }
  rules:
  - { effect: deny, verbs: ["*"], resources: [secrets] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: everybody }
spec:
  subjects: { groups: [team-0000] }
  rules:
  - { verbs: [get, list], resources: [configmaps, secrets], namespaces: [default] }
`
const NAMESPACE = '/sockets/production/api/v1/namespaces/default'
const MEMBER = '7f0c1e9a'
const GRAPH = `/graph/users/${MEMBER}/getMemberObjects`
const REQUESTS = 100

const team = (index: number, padding = ''): string => `team-${String(index).padStart(4, '0')}${padding}`
/** A thousand; those that policies name among them, the others with names of so many characters. */
const teams = (length: number): string[] =>
  Array.from({ length: 1000 }, (_, index) =>
    team(index, [0, 777, 999].includes(index) ? '' : '-'.padEnd(length - 9, 'x')),
  )

let gateway: StagedGateway

beforeAll(async () => {
  gateway = await startStagedGateway({
    policy: POLICY,
    stage(_apiServer, issuer) {
      issuer.discovery['token_endpoint'] = `${issuer.url}/token`
    },
    adjust(document) {
      const [issuer] = document.identity.issuers
      if (issuer === undefined) throw new Error('there is no issuer')
      const graph = {
        url: `${issuer.issuer.url}/graph`,
        certificateAuthority: issuer.issuer.certificateAuthority ?? '',
        credentials: { clientID: 'directory', clientSecret: { env: 'PATH' } },
      }
      return { ...document, identity: { ...document.identity, issuers: [{ ...issuer, groupsFrom: { graph } }] } }
    },
  })
})
afterAll(() => gateway.stop())
beforeEach(() => {
  gateway.issuer.staged.clear()
  const answer = (path: string, value: unknown): void => {
    gateway.issuer.staged.set(path, (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    })
  }
  answer('/token', { access_token: 'a', token_type: 'Bearer', expires_in: 3600 })
  answer(GRAPH, { value: teams(36) })
})

const bearer = (token: string) => ({ anonymous: true, headers: { Authorization: `Bearer ${token}` } })
const statusOf = async (token: string, resource: string): Promise<number> =>
  (await gateway.fetch(`${NAMESPACE}/${resource}`, bearer(token))).statusCode
async function statusOverHttp2(token: string, resource: string): Promise<unknown> {
  const session = gateway.http2()
  await once(session, 'connect')
  try {
    return await exchangeStream(session, { ':path': `${NAMESPACE}/${resource}`, authorization: `Bearer ${token}` })
  } finally {
    session.destroy()
  }
}

const OVERAGE = {
  sub: 'person-of-many',
  oid: MEMBER,
  groups: undefined,
  _claim_names: { groups: 'src1' },
  _claim_sources: { src1: { endpoint: 'https://evil.example/groups' } },
}

describe.each<[string, () => Promise<string>, number, readonly string[]]>([
  ['in their token, with short names', () => gateway.issuer.sign({ groups: teams(12) }), 20_000, []],
  ['in their token, with long names', () => gateway.issuer.sign({ groups: teams(40) }), 57_000, []],
  [
    'beyond their token',
    () => gateway.issuer.sign(OVERAGE),
    400,
    ['/.well-known/openid-configuration', '/token', GRAPH],
  ],
])('a person in a thousand groups %s', (_, sign, least, asked) => {
  test(`is decided on by one of them, and nobody is asked for each of ${REQUESTS} requests`, async () => {
    const token = await sign()
    expect(token.length).toBeGreaterThan(least)
    gateway.issuer.seen.splice(0)
    expect(await statusOf(token, 'pods')).toBe(200)
    expect(gateway.issuer.seen).toEqual(asked)
    for (let i = 0; i < REQUESTS; i += 1) {
      // By one of the groups allowed; by another denied, what a third allows; and by none allowed.
      const [resource, expected] = (
        [
          ['pods', 200],
          ['secrets', 403],
          ['configmaps', 200],
          ['services', 403],
        ] as const
      )[i % 4] ?? ['', 0]
      expect(await statusOf(token, resource)).toBe(expected)
    }
    expect(await statusOverHttp2(token, 'pods')).toMatchObject({ statusCode: 200 })
    expect(await statusOverHttp2(token, 'secrets')).toMatchObject({ statusCode: 403 })
    expect(gateway.issuer.seen).toEqual(asked)
    const deniedBy = async () =>
      (await gateway.events()).findLast(({ objectRef }) => objectRef?.['resource'] === 'secrets')
    await expect.poll(async () => (await deniedBy())?.annotations['postern.dev/rule']).toBe('not-for-contractors#1')
    // What else is shown with a login: at the portal, the same.
    const portal = connectPortal(`https://127.0.0.1:${gateway.portalPort}`, gateway.certificateAuthority)
    expect((await portal.whoAmI(token)).groups).toHaveLength(1000)
    expect((await portal.getLogin(token, 'current')).spec.groups).toHaveLength(1000)
    expect(gateway.issuer.seen).toEqual(asked)
  })
})

describe('a token beyond what the connector takes', () => {
  const LIMIT = 60 * 1024

  test('but within its heads is refused in a sentence that says so', async () => {
    const token = `${'a'.repeat(LIMIT)}.b.c`
    const sentence = /^the token is longer than 61440 characters, as one with very many groups may be \(audit id /
    const { statusCode, body } = await gateway.fetch(`${NAMESPACE}/pods`, bearer(token))
    expect([statusCode, (JSON.parse(body) as { message: string }).message]).toEqual([
      401,
      expect.stringMatching(sentence) as unknown,
    ])
    expect(await statusOverHttp2(token, 'pods')).toMatchObject({ statusCode: 401 })
  })

  test('and beyond its heads is refused with the head', async () => {
    const { statusCode, body } = await gateway.fetch(`${NAMESPACE}/pods`, bearer('a'.repeat(70_000)))
    expect([statusCode, (JSON.parse(body) as { message: string }).message]).toEqual([
      431,
      expect.stringContaining('the request head is too large, as with a token of very many groups') as unknown,
    ])
  })

  test.each([LIMIT + 1, 120_000])('of %i characters is told of when its person signs in', async (length) => {
    const portal = connectPortal(`https://127.0.0.1:${gateway.portalPort}`, gateway.certificateAuthority)
    await expect(portal.whoAmI('a'.repeat(length))).rejects.toThrow(
      'does not take your login: the token is longer than 61440 characters, as one with very many groups may be',
    )
  })
})
