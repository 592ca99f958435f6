import type { IncomingMessage, ServerResponse } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/document/secret.ts'
import { FAILURE_AGE_MS, GROUPS_AGE_MS } from '../../src/identity/groups-source.ts'
import type { IssuerOptions } from '../../src/identity/issuer-options.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { MAX_GROUPS } from '../../src/identity/subject-name.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attack E14.
//
// An issuer that leaves groups out of a token leaves out those that a rule denies something to. Nobody may come in without.

const MEMBER = '7f0c1e9a'
const GRAPH = `/graph/users/${MEMBER}/getMemberObjects`
const OVERAGE = {
  oid: MEMBER,
  groups: undefined,
  _claim_names: { groups: 'src1' },
  _claim_sources: { src1: { endpoint: 'https://evil.example/groups', access_token: 'x' } },
}

let issuer: StagedIssuer
let authenticator: OidcAuthenticator
let nowMs: number
/** What the issuer was sent, by path. */
const sent: { readonly path: string; readonly authorization: string; readonly body: string }[] = []

beforeAll(async () => {
  issuer = await startStagedIssuer()
  issuer.discovery = {
    ...issuer.discovery,
    userinfo_endpoint: `${issuer.url}/userinfo`,
    token_endpoint: `${issuer.url}/token`,
  }
})
afterAll(() => issuer.close())
beforeEach(() => {
  nowMs = Date.now()
  sent.length = 0
})
afterEach(() => {
  issuer.staged.clear()
  authenticator.close()
})

function open(
  groupsFrom: NonNullable<IssuerOptions['groupsFrom']> | null,
  overrides: Partial<IssuerOptions> = {},
): void {
  const options = issuer.options({ ...(groupsFrom !== null && { groupsFrom }), ...overrides })
  authenticator = createAuthenticator({ issuers: [options], clock: () => nowMs })
}

/** Answers with an object, or with a status code. */
function stage(path: string, answer: unknown): void {
  issuer.staged.set(path, (request: IncomingMessage, response: ServerResponse) => {
    void text(request).then((body) => {
      sent.push({ path, authorization: request.headers.authorization ?? '', body })
      if (typeof answer === 'number') response.writeHead(answer).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
}

const graph = (): NonNullable<IssuerOptions['groupsFrom']> => ({
  kind: 'graph',
  url: `${issuer.url}/graph`,
  certificateAuthority: issuer.certificateAuthority,
  memberClaim: 'oid',
  securityEnabledOnly: true,
  credentials: {
    clientID: 'postern-directory',
    clientSecret: new Secret('s3cret-of-the-connector'),
    scope: 'directory',
  },
})
const stageToken = (): void => {
  stage('/token', { access_token: 'access-of-the-connector', token_type: 'Bearer', expires_in: 3600 })
}
const groupsOf = async (claims: Record<string, unknown>): Promise<readonly string[]> =>
  (await authenticator.authenticate(bearer(await issuer.sign(claims, { nowMs })))).subject.groups
const refusal = async (claims: Record<string, unknown>) =>
  refusalOf(authenticator, await issuer.sign(claims, { nowMs }))
const unavailable = {
  code: 503,
  message: expect.stringContaining('your groups cannot be looked up now, and nothing is decided without') as unknown,
}

type Source = NonNullable<IssuerOptions['groupsFrom']> | null

describe.each<[string, () => Source]>([
  ['without a source', () => null],
  ['with a directory', graph],
  ['with the userinfo endpoint', () => ({ kind: 'userinfo' })],
])('%s', (_, source) => {
  const UNREADABLE: [string, Record<string, unknown>][] = [
    ['_claim_names that nobody can read', { _claim_names: 'groups' }],
    ['_claim_names that is a list', { _claim_names: ['groups'] }],
    ['_claim_names that is a number', { _claim_names: 7 }],
    ['_claim_names that is a list, and no groups', { groups: undefined, _claim_names: ['groups'] }],
    ['_claim_names that nobody can read, and no groups', { groups: undefined, _claim_names: 'groups' }],
    ['_claim_names that is true, and no groups', { groups: undefined, _claim_names: true }],
  ]
  const READABLE: [string, Record<string, unknown>][] = [
    ['_claim_names', OVERAGE],
    ['_claim_names beside some groups', { ...OVERAGE, groups: ['harmless'] }],
    ['hasgroups', { oid: MEMBER, groups: undefined, hasgroups: true }],
    ['hasgroups as text', { oid: MEMBER, groups: undefined, hasgroups: 'true' }],
    ['hasgroups of odd type', { oid: MEMBER, groups: undefined, hasgroups: [] }],
  ]

  test.for([...UNREADABLE, ...READABLE])(
    'a token with %s lets nobody in whose groups are not told',
    async ([, claims]) => {
      open(source())
      stageToken()
      stage(GRAPH, { value: [] })
      stage('/userinfo', { sub: 'person-ana' })
      const told = source() === null || UNREADABLE.some(([, unreadable]) => unreadable === claims)
      expect(await refusal(claims)).toEqual(
        told
          ? unauthorized('the connector has to be told where to ask for them ("groupsFrom")')
          : expect.objectContaining(unavailable),
      )
    },
  )
})

describe('with a directory', () => {
  test('the groups are those of the directory, asked for once for each person', async () => {
    open(graph())
    stageToken()
    stage(GRAPH, { value: ['contractors', 'payments-dev'] })
    expect(await groupsOf(OVERAGE)).toEqual(['contractors', 'payments-dev'])
    expect(sent.map(({ path }) => path)).toEqual(['/token', GRAPH])
    expect(Object.fromEntries(new URLSearchParams(sent[0]?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'postern-directory',
      client_secret: 's3cret-of-the-connector',
      scope: 'directory',
    })
    expect(sent[1]).toMatchObject({
      authorization: 'Bearer access-of-the-connector',
      body: '{"securityEnabledOnly":true}',
    })
    // A refreshed token, and another person.
    expect(await groupsOf({ ...OVERAGE, jti: 'refreshed' })).toEqual(['contractors', 'payments-dev'])
    stage('/graph/users/other/getMemberObjects', { value: ['ops'] })
    expect(await groupsOf({ ...OVERAGE, sub: 'person-other', oid: 'other' })).toEqual(['ops'])
    expect(sent.map(({ path }) => path)).toEqual(['/token', GRAPH, '/graph/users/other/getMemberObjects'])
  })

  test('they are asked for again after a while', async () => {
    open(graph())
    stageToken()
    stage(GRAPH, { value: ['a'] })
    await groupsOf(OVERAGE)
    nowMs += GROUPS_AGE_MS
    stage(GRAPH, { value: ['b'] })
    expect(await groupsOf(OVERAGE)).toEqual(['b'])
  })

  test('requests at once share one question', async () => {
    open(graph())
    stageToken()
    stage(GRAPH, { value: ['a'] })
    await Promise.all(Array.from({ length: 20 }, (_, index) => groupsOf({ ...OVERAGE, jti: String(index) })))
    expect(sent.filter(({ path }) => path === GRAPH)).toHaveLength(1)
  })

  test('a token that has its groups costs no question', async () => {
    open(graph())
    expect(await groupsOf({})).toEqual(['payments-dev'])
    expect(await groupsOf({ groups: undefined })).toEqual([])
    expect(sent).toEqual([])
  })

  test(`${MAX_GROUPS} groups on several pages are all seen, by a deny rule too`, async () => {
    open(graph())
    stageToken()
    const ids = Array.from({ length: MAX_GROUPS }, (_, index) => (index === 999 ? 'contractors' : `group-${index}`))
    stage(GRAPH, { value: ids.slice(0, 600), '@odata.nextLink': `${issuer.url}/graph/page-2` })
    stage('/graph/page-2', { value: ids.slice(600) })
    expect(await groupsOf(OVERAGE)).toEqual(ids)
  })

  test.for<[string, (url: string) => unknown]>([
    ['an error', () => 500],
    ['a refusal', () => 403],
    ['no list', () => ({})],
    ['an empty list, for somebody who has too many', () => ({ value: [] })],
    ['groups that are no text', () => ({ value: ['a', 7] })],
    [
      'another page elsewhere',
      (url) => ({ value: ['a'], '@odata.nextLink': `${url.replace('127.0.0.1', 'localhost')}/elsewhere` }),
    ],
    ['pages without end', (url) => ({ value: ['a'], '@odata.nextLink': `${url}${GRAPH}` })],
  ])('with %s from it nobody comes in', async ([, answer]) => {
    open(graph())
    stageToken()
    stage(GRAPH, answer(issuer.url))
    stage('/elsewhere', { value: ['b'] })
    expect(await refusal(OVERAGE)).toMatchObject(unavailable)
    expect(sent.map(({ path }) => path)).not.toContain('/elsewhere')
    // It is no matter of the token, so that it is looked at again.
    stage(GRAPH, { value: ['contractors'] })
    nowMs += FAILURE_AGE_MS
    expect(await groupsOf(OVERAGE)).toEqual(['contractors'])
  })

  test.for<[string, readonly number[]]>([
    ['on one page', [MAX_GROUPS + 1]],
    ['on several pages', [600, 401]],
    ['on more pages than are read', Array.from({ length: 30 }, () => 100)],
  ])(
    'somebody in more than 1000 groups, %s, is refused with what to do, and is not asked for again at once',
    async ([, pages]) => {
      open(graph())
      stageToken()
      for (const [page, length] of pages.entries()) {
        stage(page === 0 ? GRAPH : `/graph/page-${page}`, {
          value: Array.from({ length }, (_, index) => `group-${page}-${index}`),
          ...(page + 1 < pages.length && { '@odata.nextLink': `${issuer.url}/graph/page-${page + 1}` }),
        })
      }
      const tooMany = unauthorized(
        'you are in more than 1000 groups, which is more than is decided on; an administrator at the issuer has to limit',
      )
      expect(await refusal(OVERAGE)).toEqual(tooMany)
      const asked = sent.length
      for (let refreshed = 0; refreshed < 20; refreshed += 1) {
        expect(await refusal({ ...OVERAGE, jti: String(refreshed) })).toEqual(tooMany)
      }
      expect(sent).toHaveLength(asked)
      stage(GRAPH, { value: ['contractors'] })
      nowMs += FAILURE_AGE_MS
      expect(await groupsOf(OVERAGE)).toEqual(['contractors'])
    },
  )

  test('a directory that fails is asked once in a while for each person, and another person is not held up by it', async () => {
    open(graph())
    stageToken()
    stage(GRAPH, 500)
    stage('/graph/users/other/getMemberObjects', { value: ['ops'] })
    for (let refreshed = 0; refreshed < 20; refreshed += 1) {
      expect(await refusal({ ...OVERAGE, jti: String(refreshed) })).toMatchObject(unavailable)
    }
    expect(sent.filter(({ path }) => path === GRAPH)).toHaveLength(1)
    expect(await groupsOf({ ...OVERAGE, sub: 'person-other', oid: 'other' })).toEqual(['ops'])
  })

  test('without a token from the issuer nobody comes in, and the secret is not told', async () => {
    open(graph())
    for (const answer of [401, {}, { access_token: '' }]) {
      stage('/token', answer)
      const status = await refusal(OVERAGE)
      expect(status).toMatchObject(unavailable)
      expect(JSON.stringify(status)).not.toContain('s3cret')
      nowMs += FAILURE_AGE_MS
    }
  })

  test('somebody whom it does not know is refused', async () => {
    open(graph())
    stageToken()
    stage(GRAPH, 404)
    expect(await refusal(OVERAGE)).toEqual(unauthorized('the directory does not know you'))
  })

  test.for([undefined, '', 7, '..', '../../groups', 'a/b', 'a?b', 'x'.repeat(200)])(
    'a member id of %j makes no address',
    async (oid) => {
      open(graph())
      stageToken()
      expect(await refusal({ ...OVERAGE, oid })).toEqual(unauthorized('the token has no usable "oid" claim'))
      expect(sent).toEqual([])
    },
  )

  test('expressions see the groups that were fetched', async () => {
    const username = { claim: 'sub', prefix: '' }
    open(graph(), { claimMappings: { username, groups: { expression: 'claims.groups.map(g, "id:" + g)' } } })
    stageToken()
    stage(GRAPH, { value: ['contractors'] })
    expect(await groupsOf(OVERAGE)).toEqual(['id:contractors'])
  })
})

describe('with the userinfo endpoint', () => {
  const userinfo = { kind: 'userinfo' } as const

  test('groups that only it has are asked for with the presented token', async () => {
    open(userinfo)
    stage('/userinfo', { sub: 'person-ana', groups: ['contractors'] })
    const token = await issuer.sign({ groups: undefined }, { nowMs })
    const { subject } = await authenticator.authenticate(bearer(token))
    expect(subject.groups).toEqual(['contractors'])
    expect(sent).toEqual([{ path: '/userinfo', authorization: `Bearer ${token}`, body: '' }])
    expect(await groupsOf({ groups: undefined, jti: 'refreshed' })).toEqual(['contractors'])
    expect(await groupsOf({})).toEqual(['payments-dev'])
    expect(sent).toHaveLength(1)
  })

  test('somebody who has none there has none', async () => {
    open(userinfo)
    stage('/userinfo', { sub: 'person-ana' })
    expect(await groupsOf({ groups: undefined })).toEqual([])
    // But not somebody of whom the issuer says that there are too many.
    expect(await refusal(OVERAGE)).toMatchObject(unavailable)
  })

  test.for<[string, unknown]>([
    ['about somebody else', { sub: 'person-omar', groups: [] }],
    ['about nobody', { groups: [] }],
    ['that is an error', 500],
    ['with groups of another type', { sub: 'person-ana', groups: { contractors: true } }],
    ['that is null', null],
    ['that keeps the groups back itself', { sub: 'person-ana', _claim_names: { groups: 'src1' } }],
    ['that says there are more', { sub: 'person-ana', groups: ['harmless'], hasgroups: true }],
    ['that cannot be read', { sub: 'person-ana', _claim_names: ['groups'] }],
  ])('with an answer %s nobody comes in', async ([, answer]) => {
    open(userinfo)
    stage('/userinfo', answer)
    expect(await refusal({ groups: undefined })).toMatchObject(unavailable)
  })

  test('an issuer that does not take its ID tokens there refuses, in words', async () => {
    open(userinfo)
    stage('/userinfo', 401)
    expect(await refusal({ groups: undefined })).toEqual(
      unauthorized('the issuer does not take this token at its userinfo endpoint'),
    )
  })

  test('a token that does not hold is shown to nobody', async () => {
    open(userinfo)
    stage('/userinfo', { sub: 'person-ana', groups: [] })
    await refusal({ groups: undefined, exp: Math.floor(nowMs / 1000) - 3600 })
    await refusal({ groups: undefined, aud: 'wiki' })
    expect(sent).toEqual([])
  })
})

describe('a rule that denies something to a group', () => {
  const PODS = '/sockets/production/api/v1/namespaces/default/pods'
  const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: all-but-contractors }
spec:
  subjects: { groups: ["system:authenticated"] }
  rules:
  - { verbs: [list], resources: [pods] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: no-contractors }
spec:
  subjects: { groups: [contractors] }
  rules:
  - { effect: deny, verbs: ["*"], resources: ["*"] }
`
  let gateway: StagedGateway
  const list = async (claims: Record<string, unknown>) => {
    const token = await gateway.issuer.sign(claims)
    return gateway.fetch(PODS, { anonymous: true, headers: { authorization: `Bearer ${token}` } })
  }

  afterEach(() => gateway.stop())

  test('is not escaped by having too many groups, whether they can be looked up or not', async () => {
    authenticator = createAuthenticator({ issuers: [issuer.options()] })
    gateway = await startStagedGateway({ policy: POLICY })
    expect((await list({})).statusCode).toBe(200)
    expect((await list({ groups: ['contractors'] })).statusCode).toBe(403)
    gateway.apiServer.seen.length = 0
    expect((await list(OVERAGE)).statusCode).toBe(401)
    expect((await list({ groups: undefined, hasgroups: true })).statusCode).toBe(401)
    expect(gateway.apiServer.seen).toEqual([])
  })

  test('holds for groups that were looked up', async () => {
    authenticator = createAuthenticator({ issuers: [issuer.options()] })
    const credentials = { clientID: 'directory', clientSecret: { file: 'token' } }
    gateway = await startStagedGateway({
      policy: POLICY,
      adjust: (document, directory) => {
        const [first] = document.identity.issuers
        if (first === undefined) throw new Error('there is no issuer')
        writeFileSync(join(directory, 'issuer.crt'), first.issuer.certificateAuthority ?? '')
        const graphOptions = { url: `${first.issuer.url}/graph`, certificateAuthority: 'issuer.crt', credentials }
        return { ...document, identity: { issuers: [{ ...first, groupsFrom: { graph: graphOptions } }] } }
      },
    })
    const { staged, url } = gateway.issuer
    gateway.issuer.discovery = { ...gateway.issuer.discovery, token_endpoint: `${url}/token` }
    const answer = (path: string, value: unknown): void => {
      staged.set(path, (_request, response) => response.end(JSON.stringify(value)))
    }
    answer('/token', { access_token: 'a', expires_in: 3600 })
    staged.set('/graph/users/early/getMemberObjects', (_request, response) => response.writeHead(503).end())
    expect((await list({ ...OVERAGE, sub: 'person-early', oid: 'early' })).statusCode).toBe(503)
    answer(GRAPH, { value: ['everyone', 'contractors'] })
    expect((await list(OVERAGE)).statusCode).toBe(403)
    expect(gateway.apiServer.seen).toEqual([])
    answer('/graph/users/other/getMemberObjects', { value: ['everyone'] })
    expect((await list({ ...OVERAGE, sub: 'person-other', oid: 'other' })).statusCode).toBe(200)
  })
})
