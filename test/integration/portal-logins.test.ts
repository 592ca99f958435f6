import supertest from 'supertest'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Logins } from '../../src/identity/logins/logins.ts'
import { createMemorySink } from '../support/audit-lines.ts'
import { authorizerOf } from '../support/policies.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

const GROUP = '/apis/postern.dev/v1alpha1'
const NOBODYS = '3f0e8c1a-9a54-4f6e-8b58-0a1b2c3d4e5f'

const POLICIES = {
  security: `subjects: { users: [omar@example.com] }, rules: [
    { verbs: [list, get, delete], apiGroups: [postern.dev], resources: [logins] } ]`,
  watchers: `subjects: { users: [lena@example.com] }, rules: [ { verbs: [list], apiGroups: [postern.dev], resources: [logins] } ]`,
  'one-socket': `sockets: [production], subjects: { users: [petra@example.com] }, rules: [ { verbs: ["*"], resources: ["*"] } ]`,
  'every-socket': `sockets: ["*"], subjects: { users: [stella@example.com] }, rules: [ { verbs: ["*"], resources: ["*"] } ]`,
  'one-namespace': `subjects: { users: [nils@example.com] }, rules: [
    { verbs: ["*"], resources: ["*"], namespaces: [payments] } ]`,
  kept: `subjects: { users: [dora@example.com] }, rules: [
    { verbs: ["*"], resources: ["*"] }, { effect: deny, verbs: [delete], resources: [logins] } ]`,
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly body: Record<string, unknown>
}
interface LoginObject {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly username: string }
  readonly status: Record<string, unknown>
}

const sink = createMemorySink()
const authorizer = authorizerOf(POLICIES)
let logins: Logins
let issuer: StagedIssuer
let other: StagedIssuer
let portal: StartedPortal

beforeAll(async () => {
  ;[issuer, other] = await Promise.all([startStagedIssuer(), startStagedIssuer()])
})
beforeEach(async () => {
  logins = new Logins()
  sink.events.splice(0)
  portal = await startPortal({
    issuers: [issuer.options(), other.options({ sharesNamesWith: [issuer.url] })],
    logins,
    authorize: (attributes) => authorizer.authorize(attributes),
    sink,
  })
})
afterEach(async () => {
  expect(portal.failures).toEqual([])
  await portal.stop()
})
afterAll(async () => {
  await Promise.all([issuer.close(), other.close()])
})

async function ask(
  who: string,
  method: 'get' | 'head' | 'delete' | 'put',
  path: string,
  {
    sid = who,
    from = issuer,
    accept = 'application/json',
    named = { sid },
  }: { sid?: string; from?: StagedIssuer; accept?: string; named?: Record<string, unknown> } = {},
): Promise<Answer> {
  const token = await from.sign({ sub: who, email: `${who}@example.com`, ...named })
  const agent = supertest.agent(portal.url, { ca: portal.certificateAuthority })
  const answer: unknown = await agent[method](`${GROUP}/logins${path}`)
    .set('authorization', `Bearer ${token}`)
    .set('user-agent', 'kubectl/v1.36.0')
    .set('accept', accept)
  return answer as Answer
}

const currentOf = async (who: string, options = {}): Promise<LoginObject> =>
  (await ask(who, 'get', '/current', options)).body as unknown as LoginObject
const idOf = async (who: string, options = {}): Promise<string> => (await currentOf(who, options)).metadata.name
const itemsOf = ({ body }: Answer): readonly LoginObject[] => (body as { items: readonly LoginObject[] }).items

test('a login is shown with what is known of it, and nothing that is a secret of the issuer', async () => {
  const login = await currentOf('ana', { sid: 'secret-session' })
  expect(login).toEqual({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Login',
    metadata: { name: expect.any(String) as string, creationTimestamp: expect.any(String) as string },
    spec: { username: 'ana@example.com', uid: '', groups: ['payments-dev'], issuer: issuer.url },
    status: {
      state: 'active',
      current: true,
      lastSeenTime: expect.any(String) as string,
      expiryTime: expect.any(String) as string,
      places: [{ sourceIP: '127.0.0.1', userAgent: 'kubectl/v1.36.0', lastSeenTime: expect.any(String) as string }],
    },
  })
  expect(JSON.stringify(login)).not.toContain('secret-session')
})

test('kubectl gets a table', async () => {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const { body } = await ask('ana', 'get', '', { accept })
  const { kind, rows } = body as { kind: string; rows: { cells: unknown[] }[] }
  expect([kind, rows.length]).toEqual(['Table', 1])
  expect(rows[0]?.cells.slice(1, 3)).toEqual(['ana@example.com', 'active'])
})

describe('everybody', () => {
  test('sees their own logins and no other, newest first, and which one they ask with', async () => {
    await idOf('ana', { sid: 'laptop' })
    await idOf('boris')
    const items = itemsOf(await ask('ana', 'get', '', { sid: 'desktop' }))
    expect(items.map(({ spec, status }) => [spec.username, status['current']])).toEqual([
      ['ana@example.com', expect.any(Boolean)],
      ['ana@example.com', expect.any(Boolean)],
    ])
    expect(items.filter(({ status }) => status['current'])).toHaveLength(1)
  })

  test('revokes their own, and is refused with it from then on; their other login goes on', async () => {
    const laptop = await idOf('ana', { sid: 'laptop' })
    const { status, body } = await ask('ana', 'delete', `/${laptop}?reason=lost`, { sid: 'desktop' })
    expect([status, body]).toEqual([
      200,
      {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: laptop, group: 'postern.dev', kind: 'logins' },
      },
    ])
    const refused = await ask('ana', 'get', '', { sid: 'laptop' })
    expect([refused.status, refused.body['message']]).toEqual([
      401,
      'this login was revoked by ana@example.com: lost; sign in again with "postern client login"',
    ])
    const shown = (await ask('ana', 'get', `/${laptop}`, { sid: 'desktop' })).body as unknown as LoginObject
    expect(shown.status).toMatchObject({
      state: 'revoked',
      revocation: { by: 'ana@example.com', reason: 'lost', time: expect.any(String) as string },
    })
  })

  test('ends with theirs what cannot be told from it, and is told so', async () => {
    const [laptop, nameless] = [await idOf('ana', { named: { nonce: 'n' } }), await idOf('ana', { named: {} })]
    const desktop = await idOf('ana', { named: { nonce: 'm' } })
    const { status, body } = await ask('ana', 'delete', `/${laptop}`, { named: { nonce: 'm' } })
    expect([status, body['message']]).toEqual([200, `revoked with it, as they cannot be told apart: ${nameless}`])
    const refused = await ask('ana', 'get', '', { named: {} })
    expect([refused.status, refused.body['message']]).toEqual([
      401,
      'a login of this person was revoked by ana@example.com, and this token does not show that it is of another, ' +
        'as one from a browser (not --device) does; sign in again with "postern client login"',
    ])
    expect(await idOf('ana', { named: { nonce: 'm' } })).toBe(desktop)
  })

  test('has a name at one issuer: at another it is somebody else’s', async () => {
    const id = await idOf('ana')
    expect((await ask('ana', 'delete', `/${id}`, { from: other })).status).toBe(404)
    expect(itemsOf(await ask('ana', 'get', '', { from: other })).map(({ metadata }) => metadata.name)).not.toContain(id)
    expect((await ask('ana', 'get', '')).status).toBe(200)
  })
})

describe('by policy', () => {
  test.for([
    ['omar', 200, 200, 200],
    ['lena', 200, 403, 403],
    ['dora', 200, 200, 403],
    ['boris', 404, 404, 404],
    ['petra', 404, 404, 404],
    ['nils', 404, 404, 404],
    ['stella', 404, 404, 404],
  ] as const)('%s gets list %i, get %i, delete %i', async ([who, listed, got, removed]) => {
    const id = await idOf('ana')
    expect(itemsOf(await ask(who, 'get', '')).some(({ metadata }) => metadata.name === id)).toBe(listed === 200)
    expect((await ask(who, 'get', `/${id}`)).status).toBe(got)
    expect((await ask(who, 'delete', `/${id}`)).status).toBe(removed)
    expect((await ask('ana', 'get', '')).status).toBe(removed === 200 ? 401 : 200)
  })

  test('the audit event tells the rule, and no socket', async () => {
    const id = await idOf('ana')
    await ask('omar', 'delete', `/${id}?reason=stolen`)
    const find = () => sink.events.find(({ verb }) => verb === 'delete')
    await expect.poll(find).toBeDefined()
    const event = find()
    expect(event).toMatchObject({
      user: { username: 'omar@example.com' },
      objectRef: { resource: 'logins', name: id },
      responseStatus: { code: 200 },
      annotations: { 'postern.dev/decision': 'allow', 'postern.dev/rule': 'security#1' },
    })
    expect(event?.annotations).not.toHaveProperty('postern.dev/socket')
  })
})

test('a list comes in pages', async () => {
  for (let i = 0; i < 5; i += 1) await idOf('ana', { sid: `s${i}` })
  const seen: string[] = []
  let rest = ''
  do {
    const answer = await ask('ana', 'get', `?limit=2${rest === '' ? '' : `&continue=${rest}`}`, { sid: 's0' })
    const items = itemsOf(answer)
    expect(items.length).toBeLessThanOrEqual(2)
    seen.push(...items.map(({ metadata }) => metadata.name))
    rest = (answer.body['metadata'] as { continue?: string }).continue ?? ''
  } while (rest !== '')
  expect([seen.length, new Set(seen).size]).toEqual([5, 5])
})

test.for([
  ['delete', `/current?dryRun=All`, 400],
  ['delete', `/current?reason=${'x'.repeat(257)}`, 400],
  ['get', '?watch=true', 405],
  ['get', '?fieldSelector=spec.username%3Dana', 400],
  ['get', '?limit=many', 400],
  ['get', '?continue=../1', 400],
  ['put', '/current', 405],
  ['delete', '', 405],
  ['delete', `/${NOBODYS}`, 404],
] as const)('%s %s is answered %i, and revokes nothing', async ([method, path, code]) => {
  expect((await ask('ana', method, path)).status).toBe(code)
  expect((await ask('ana', 'get', '')).status).toBe(200)
})
