import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import supertest from 'supertest'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MAX_BACKLOG_BYTES } from '../../src/portal/follow.ts'
import { createMemorySink } from '../support/audit-lines.ts'
import { authorizerOf } from '../support/policies.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'
import {
  createMemoryStore,
  factsOf,
  manifestOf,
  stageSession,
  stageSessions,
  type StagedSession,
} from '../support/staged-sessions.ts'

const GROUP = '/apis/postern.dev/v1alpha1'
const NOBODYS = '3f0e8c1a-9a54-4f6e-8b58-0a1b2c3d4e5f'

/** What policies say: nobody is granted anything here but omar and whoever reads everything in payments. */
const POLICIES = {
  operators: `sockets: [production], subjects: { users: [omar@example.com] }, rules: [
    { verbs: [list, get, delete], apiGroups: [postern.dev], resources: [sessions, recordings], namespaces: [payments] },
    { verbs: [get], apiGroups: [postern.dev], resources: [sessions/follow, recordings/cast], namespaces: [payments] } ]`,
  watchers: `subjects: { users: [lena@example.com] }, rules: [
    { verbs: [list], apiGroups: [postern.dev], resources: [sessions, recordings] } ]`,
  readers: `subjects: { users: [rita@example.com] }, rules: [ { verbs: [get, list], resources: ["*"] } ]`,
}

const sessions = stageSessions()
const store = createMemoryStore()
const sink = createMemorySink()
let authorizer = authorizerOf(POLICIES)
let issuer: StagedIssuer
let portal: StartedPortal

let anas: StagedSession
let borises: StagedSession

beforeAll(async () => {
  issuer = await startStagedIssuer()
  portal = await startPortal({
    issuers: [issuer.options()],
    sessions,
    recordings: store,
    authorize: (attributes) => authorizer.authorize(attributes),
    sink,
  })
})
beforeEach(() => {
  anas = stageSession()
  borises = stageSession({ username: 'boris@example.com', kind: 'attach', command: [], namespace: 'billing' })
  sessions.all.splice(0, Infinity, anas, borises)
  store.kept.clear()
  sink.events.splice(0)
  sink.writable = true
  authorizer = authorizerOf(POLICIES)
})
afterEach(() => {
  expect(portal.failures).toEqual([])
})
afterAll(async () => {
  await portal.stop()
  await issuer.close()
})

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

async function ask(who: string, method: 'get' | 'head' | 'delete' | 'put', path: string): Promise<Answer> {
  const token = await issuer.sign({ sub: who, email: `${who}@example.com` })
  const agent = supertest.agent(portal.url, { ca: portal.certificateAuthority })
  const answer: unknown = await agent[method](`${GROUP}${path}`).set('authorization', `Bearer ${token}`)
  return answer as Answer
}

const get = (who: string, path: string): Promise<Answer> => ask(who, 'get', path)
const remove = (who: string, path: string): Promise<Answer> => ask(who, 'delete', path)

function namesIn({ body }: Answer): readonly string[] {
  return (body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name)
}

/** The last event about a path, once its request is over. */
async function completed(path: string): Promise<unknown> {
  const find = () =>
    sink.events.findLast(({ stage, requestURI }) => stage === 'ResponseComplete' && requestURI === `${GROUP}${path}`)
  await expect.poll(find).toBeDefined()
  return find()
}

const session = (id: string, rest = ''): string => `/sessions/${id}${rest}`
const recording = (id: string, rest = ''): string => `/recordings/${id}${rest}`

describe('sessions', () => {
  test('are shown to those who opened them, and to nobody else without a rule', async () => {
    expect(namesIn(await get('ana', '/sessions'))).toEqual([anas.facts.id])
    expect(namesIn(await get('boris', '/sessions'))).toEqual([borises.facts.id])
    expect(namesIn(await get('zoe', '/sessions'))).toEqual([])
  })

  test('are shown as far as a rule for their socket and namespace reaches', async () => {
    const elsewhere = stageSession({ socket: 'staging' })
    sessions.all.push(elsewhere)
    expect(namesIn(await get('omar', '/sessions'))).toEqual([anas.facts.id])
    expect(namesIn(await get('lena', '/sessions'))).toEqual([anas, borises, elsewhere].map(({ facts }) => facts.id))
    for (const hidden of [borises, elsewhere]) expect((await get('omar', session(hidden.facts.id))).status).toBe(404)
  })

  test('have the facts of their opening, and what passed', async () => {
    const { status, body } = await get('ana', session(anas.facts.id))
    expect(status).toBe(200)
    expect(body).toEqual({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'Session',
      metadata: {
        name: anas.facts.id,
        creationTimestamp: new Date(anas.facts.startedAtMs).toISOString().replace(/\.\d+Z$/, 'Z'),
      },
      spec: anas.facts,
      status: {
        lastActivityTime: new Date(anas.lastActivityAtMs).toISOString(),
        sentBytes: 12,
        receivedBytes: 3456,
        recording: true,
      },
    })
  })

  test('are a table for kubectl', async () => {
    const token = await issuer.sign()
    const response = await supertest
      .agent(portal.url, { ca: portal.certificateAuthority })
      .get(`${GROUP}/sessions`)
      .set({ authorization: `Bearer ${token}`, accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    const { columnDefinitions, rows } = response.body as { columnDefinitions: { name: string }[]; rows: unknown[] }
    expect(columnDefinitions.map(({ name }) => name).slice(0, 6)).toEqual([
      'Name',
      'Kind',
      'User',
      'Socket',
      'Namespace',
      'Pod',
    ])
    const { id } = anas.facts
    expect(rows).toMatchObject([
      {
        cells: [id, 'exec', 'ana@example.com', 'production', 'payments', 'web', '60s', '30s', true, 'bash -l'],
        object: { kind: 'PartialObjectMetadata', metadata: { name: id } },
      },
    ])
  })

  test.for(['', '/follow'])('of others answer exactly as those that do not exist, to a get of %j', async (rest) => {
    const [hidden, missing] = [
      await get('boris', session(anas.facts.id, rest)),
      await get('boris', session(NOBODYS, rest)),
    ]
    expect(hidden.status).toBe(404)
    expect(hidden.text.replaceAll(anas.facts.id, NOBODYS)).toBe(missing.text)
    expect(Object.keys(hidden.headers)).toEqual(Object.keys(missing.headers))
    expect(anas.followers).toBe(0)
  })

  test('cannot be selected, watched, written or asked for by a part of their id', async () => {
    expect((await get('ana', '/sessions?labelSelector=a')).status).toBe(400)
    expect((await get('ana', '/sessions?watch=true')).status).toBe(405)
    expect((await ask('ana', 'put', session(anas.facts.id))).status).toBe(405)
    expect((await remove('ana', '/sessions')).status).toBe(405)
    expect((await get('ana', session(anas.facts.id.slice(0, 8)))).status).toBe(404)
    expect((await get('ana', session(anas.facts.id.toUpperCase()))).status).toBe(404)
    expect(anas.endings).toEqual([])
  })

  test('are ended by those who opened them, and by those whom a rule lets', async () => {
    const { id } = anas.facts
    expect(await remove('ana', session(id))).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: id, group: 'postern.dev', kind: 'sessions' } },
    })
    await remove('omar', session(id, '?reason=lunch%20time%0A%1b%5b2J'))
    expect(anas.endings).toEqual([
      'this session was ended by ana@example.com',
      'this session was ended by omar@example.com: lunch time\\n\\x1b[2J',
    ])
  })

  test('of others are not ended: as if they did not exist, or as forbidden to whom sees them', async () => {
    const path = session(anas.facts.id)
    const [hidden, missing] = [await remove('boris', path), await remove('boris', session(NOBODYS))]
    expect(hidden.status).toBe(404)
    expect(hidden.text.replaceAll(anas.facts.id, NOBODYS)).toBe(missing.text)
    const seen = await remove('lena', path)
    expect(seen.status).toBe(403)
    expect(seen.body).toMatchObject({ reason: 'Forbidden', details: { kind: 'sessions', name: anas.facts.id } })
    expect(seen.text).toContain('cannot delete resource \\"sessions\\"')
    expect(seen.text).toContain(
      '{ verbs: [delete], apiGroups: [postern.dev], resources: [sessions], namespaces: [payments] }',
    )
    expect(seen.text).toContain(`(audit id ${seen.headers['audit-id'] ?? 'none'})`)
    expect(anas.endings).toEqual([])
  })

  test.for(['?dryRun=All', '?dryRun=', `?reason=${'a'.repeat(300)}`])(
    'are not ended by a DELETE with %s',
    async (query) => {
      expect((await remove('ana', session(anas.facts.id, query))).status).toBe(400)
      expect(anas.endings).toEqual([])
    },
  )

  test('are not ended by a DELETE whose body may ask for something else', async () => {
    const response = await supertest
      .agent(portal.url, { ca: portal.certificateAuthority })
      .delete(`${GROUP}${session(anas.facts.id)}`)
      .set('authorization', `Bearer ${await issuer.sign()}`)
      .send({ kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] })
    expect(response.status).toBe(400)
    expect(anas.endings).toEqual([])
  })
})

describe('following', () => {
  /** Opens a session's lines, with a reader that a test drives. */
  async function follow(who: string, staged: StagedSession, expiresInSeconds = 300): Promise<IncomingMessage> {
    const exp = Math.floor(Date.now() / 1000) + expiresInSeconds
    const token = await issuer.sign({ sub: who, email: `${who}@example.com`, exp })
    const outgoing = httpsRequest(`${portal.url}${GROUP}${session(staged.facts.id, '/follow')}`, {
      ca: portal.certificateAuthority,
      headers: { authorization: `Bearer ${token}` },
    }).end()
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    incoming.setEncoding('utf8')
    return incoming
  }

  /** All that comes until the answer ends or breaks off. */
  async function rest(
    incoming: IncomingMessage,
  ): Promise<{ readonly lines: readonly string[]; readonly whole: boolean }> {
    let received = ''
    incoming.on('data', (chunk: string) => (received += chunk)).on('error', () => undefined)
    if (!incoming.closed) await new Promise((resolve) => incoming.once('close', resolve))
    return { lines: received.split('\n').slice(0, -1), whole: incoming.complete }
  }

  const event = (data: string): string => JSON.stringify([1, 'o', data])

  test('tells every line at once, and ends when the session does', async () => {
    const incoming = await follow('ana', anas)
    expect(incoming.statusCode).toBe(200)
    expect(incoming.headers['content-type']).toBe('application/x-asciicast')
    expect(await once(incoming, 'data')).toEqual(['{"version":2,"width":80,"height":24}\n'])
    for (const data of ['one', 'zwei', '三']) {
      anas.emit(event(data))
      expect(await once(incoming, 'data')).toEqual([`${event(data)}\n`])
    }
    anas.finish()
    expect(await rest(incoming)).toEqual({ lines: [], whole: true })
    expect(anas.followers).toBe(0)
    expect(await completed(session(anas.facts.id, '/follow'))).toMatchObject({ responseStatus: { code: 200 } })
    expect(sink.events.map(({ stage }) => stage)).toEqual(['ResponseStarted', 'ResponseComplete'])
  })

  test('stops when the follower leaves', async () => {
    const incoming = await follow('omar', anas)
    await once(incoming, 'data')
    expect(anas.followers).toBe(1)
    incoming.on('error', () => undefined).destroy()
    await expect.poll(() => anas.followers).toBe(0)
    await completed(session(anas.facts.id, '/follow'))
  })

  test('lets go of who reads too slowly, with a last line, and keeps no more than the bound', async () => {
    const incoming = await follow('omar', anas)
    const quick = await follow('ana', anas)
    quick.resume()
    await expect.poll(() => anas.followers).toBe(2)
    const line = event('x'.repeat(64 * 1024))
    let emitted = 0
    while (anas.followers === 2) {
      anas.emit(line)
      emitted += line.length
      expect(emitted).toBeLessThan(64 * MAX_BACKLOG_BYTES)
      await new Promise(setImmediate)
    }
    expect(emitted).toBeGreaterThan(MAX_BACKLOG_BYTES)
    const { lines } = await rest(incoming)
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual([
      expect.any(Number),
      'm',
      'following ended: you read more slowly than the session goes on',
    ])
    anas.finish()
    await once(quick, 'close')
    expect(quick.complete).toBe(true)
  })

  test('is over when the policy no longer allows it', async () => {
    const incoming = await follow('omar', anas)
    await once(incoming, 'data')
    authorizer = authorizerOf({})
    const { lines } = await rest(incoming)
    expect([lines.length, anas.followers]).toEqual([1, 0])
    expect(lines[0]).toContain('the policy changed')
  })

  test('is over when the login expires', async () => {
    // Clocks may differ by 30 seconds.
    const incoming = await follow('ana', anas, 2 - 30)
    await once(incoming, 'data')
    const { lines } = await rest(incoming)
    expect([lines.length, anas.followers]).toEqual([1, 0])
    expect(lines[0]).toContain('your login expired')
  })

  test('is not for those who merely may read everything, which names no subresource that shows what others do', async () => {
    expect((await get('rita', session(anas.facts.id))).status).toBe(200)
    expect((await get('rita', session(anas.facts.id, '/follow'))).status).toBe(403)
    expect(anas.followers).toBe(0)
  })

  test('of a session that nothing records is a conflict', async () => {
    const unrecorded = stageSession({ record: 'off' })
    sessions.all.push(unrecorded)
    expect(await get('ana', session(unrecorded.facts.id, '/follow'))).toMatchObject({
      status: 409,
      body: { reason: 'Conflict' },
    })
    expect((await get('ana', session(unrecorded.facts.id))).body).toMatchObject({ status: { recording: false } })
  })

  test('is not begun by a HEAD', async () => {
    expect((await ask('ana', 'head', session(anas.facts.id, '/follow'))).status).toBe(200)
    expect(anas.followers).toBe(0)
  })
})

describe('recordings', () => {
  const keep = (overrides: Parameters<typeof factsOf>[0], cast?: Parameters<typeof store.keep>[1]): string => {
    const facts = factsOf(overrides)
    store.keep(manifestOf(facts), cast)
    return facts.id
  }

  test('are shown newest first, to those whose sessions they are of and to whom a rule lets', async () => {
    const [older, newer] = [keep({ startedAtMs: 1000 }), keep({ startedAtMs: 2000 })]
    const other = keep({ username: 'boris@example.com', namespace: 'billing', startedAtMs: 1500 })
    expect(namesIn(await get('ana', '/recordings'))).toEqual([newer, older])
    expect(namesIn(await get('omar', '/recordings'))).toEqual([newer, older])
    expect(namesIn(await get('lena', '/recordings'))).toEqual([newer, other, older])
    expect(namesIn(await get('zoe', '/recordings'))).toEqual([])
  })

  test('come in pages, of which none is lost or told twice', async () => {
    const ids = Array.from({ length: 7 }, (_, index) => keep({ startedAtMs: 1000 + Math.floor(index / 3) }))
    keep({ username: 'boris@example.com', startedAtMs: 1001 })
    const seen: string[] = []
    let rest = ''
    do {
      const page = await get('ana', `/recordings?limit=2${rest === '' ? '' : `&continue=${rest}`}`)
      expect(namesIn(page).length).toBeLessThanOrEqual(2)
      seen.push(...namesIn(page))
      rest = (page.body as { metadata: { continue?: string } }).metadata.continue ?? ''
    } while (rest !== '')
    expect(seen.toSorted()).toEqual(ids.toSorted())
    expect((await get('ana', '/recordings?continue=nonsense')).status).toBe(400)
    expect((await get('ana', '/recordings?limit=-1')).status).toBe(400)
  })

  test('have the session as their spec, and the rest of the manifest as their status', async () => {
    const facts = factsOf()
    const manifest = manifestOf(facts, {
      files: [{ direction: 'upload', path: 'a', type: 'file', byteLength: 1, hash: 'sha256:2' }],
      droppedFiles: 3,
    })
    store.keep(manifest)
    const { apiVersion, kind, session: spec, ...status } = manifest
    const creationTimestamp = new Date(facts.startedAtMs).toISOString().replace(/\.\d+Z$/, 'Z')
    const object = { apiVersion, kind, metadata: { name: facts.id, creationTimestamp }, spec, status }
    expect((await get('ana', recording(facts.id))).body).toEqual(object)
    expect((await get('ana', '/recordings')).body).toEqual({
      apiVersion,
      kind: 'RecordingList',
      metadata: {},
      items: [{ ...object, status: { ...status, files: [], droppedFiles: 4, chunks: [] } }],
    })
  })

  test('give their bytes as they are stored', async () => {
    const id = keep({}, '{"version":2}\n[1,"o","ü"]\n')
    const { status, headers } = await get('ana', recording(id, '/cast'))
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/x-asciicast')
    const token = await issuer.sign()
    const outgoing = httpsRequest(`${portal.url}${GROUP}${recording(id, '/cast')}`, {
      ca: portal.certificateAuthority,
      headers: { authorization: `Bearer ${token}` },
    }).end()
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(await text(incoming)).toBe('{"version":2}\n[1,"o","ü"]\n')
  })

  test('whose bytes cannot be read break off, and this is reported', async () => {
    const id = keep({}, () =>
      Readable.from(
        (function* () {
          yield Buffer.from('{"version":2}\n')
          throw new Error('the disk is gone')
        })(),
      ),
    )
    await expect(get('ana', recording(id, '/cast'))).rejects.toThrow()
    expect(portal.failures.map(({ message }) => message)).toEqual(['the disk is gone'])
    ;(portal.failures as Error[]).splice(0)
  })

  test.for(['', '/cast'])('of others answer exactly as those that do not exist, to a get of %j', async (rest) => {
    const id = keep({})
    const [hidden, missing] = [await get('boris', recording(id, rest)), await get('boris', recording(NOBODYS, rest))]
    expect(hidden.status).toBe(404)
    expect(hidden.text.replaceAll(id, NOBODYS)).toBe(missing.text)
  })

  test('are not played to those who merely may read everything', async () => {
    const id = keep({})
    expect((await get('rita', recording(id))).status).toBe(200)
    expect((await get('rita', recording(id, '/cast'))).status).toBe(403)
    expect((await get('omar', recording(id, '/cast'))).status).toBe(200)
  })

  test('are deleted by whom a rule lets, and not by those whose sessions they are of', async () => {
    const id = keep({})
    expect((await remove('ana', recording(id))).status).toBe(403)
    expect((await remove('boris', recording(id))).status).toBe(404)
    expect((await remove('omar', recording(id, '?dryRun=All'))).status).toBe(400)
    expect(store.kept.has(id)).toBe(true)
    expect((await remove('omar', recording(id))).status).toBe(200)
    expect(store.kept.has(id)).toBe(false)
    expect((await remove('omar', recording(id))).status).toBe(404)
  })

  test('are not deleted while their session goes on', async () => {
    store.keep(manifestOf(anas.facts, { state: 'recording', outcome: null }))
    expect((await remove('omar', recording(anas.facts.id))).status).toBe(409)
    expect(store.kept.size).toBe(1)
  })

  test('are asked for by whole ids only, so that nothing else reaches the store', async () => {
    const id = 'manifest.json'
    store.keep(manifestOf(factsOf({ id })))
    expect((await get('ana', recording(id))).status).toBe(404)
  })
})

describe('the audit trail', () => {
  test('tells who ended whose session by which rule', async () => {
    const path = session(anas.facts.id, '?reason=lunch')
    await remove('omar', path)
    expect(await completed(path)).toMatchObject({
      verb: 'delete',
      user: { username: 'omar@example.com' },
      objectRef: { resource: 'sessions', name: anas.facts.id, apiGroup: 'postern.dev' },
      responseStatus: { code: 200 },
      annotations: {
        'postern.dev/socket': 'production',
        'postern.dev/decision': 'allow',
        'postern.dev/rule': 'operators#1',
      },
    })
  })

  test('tells of one who did to their own what no rule grants', async () => {
    await remove('ana', session(anas.facts.id))
    const event = await completed(session(anas.facts.id))
    expect(event).toMatchObject({
      annotations: {
        'postern.dev/decision': 'allow',
        'authorization.k8s.io/reason': 'the session is their own',
        'postern.dev/policy-revision': authorizer.revision,
      },
    })
    expect(event).not.toHaveProperty(['annotations', 'postern.dev/rule'])
  })

  test('tells of what was hidden', async () => {
    await get('boris', session(anas.facts.id))
    expect(await completed(session(anas.facts.id))).toMatchObject({
      user: { username: 'boris@example.com' },
      responseStatus: { code: 404, reason: 'NotFound' },
      annotations: { 'postern.dev/decision': 'no-opinion', 'postern.dev/socket': 'production' },
    })
  })

  test.for([
    ['get', '/sockets', 200],
    ['get', '/sessions', 200],
    ['get', '/recordings', 200],
    ['get', '', 200],
    ['get', '/nothing', 404],
    ['put', '/sockets', 405],
  ] as const)('tells of %s %s', async ([method, path, code]) => {
    const { status, headers } = await ask('ana', method, path)
    expect(status).toBe(code)
    expect(await completed(path)).toMatchObject({
      auditID: headers['audit-id'],
      user: { username: 'ana@example.com' },
      responseStatus: { code },
    })
  })

  test('tells of who is not known, and of what cannot be understood', async () => {
    const agent = supertest.agent(portal.url, { ca: portal.certificateAuthority })
    await agent.delete(`${GROUP}${session(anas.facts.id)}`)
    expect(await completed(session(anas.facts.id))).toMatchObject({ user: {}, responseStatus: { code: 401 } })
    await agent.get(`${GROUP}/sessions/a%2Fb`)
    expect(await completed('/sessions/a%2Fb')).toMatchObject({ responseStatus: { code: 400 } })
    expect(anas.endings).toEqual([])
  })

  test('that cannot be written lets nothing through', async () => {
    sink.writable = false
    store.keep(manifestOf(anas.facts))
    for (const path of [session(anas.facts.id), recording(anas.facts.id)]) {
      expect((await remove('omar', path)).status).toBe(503)
      expect((await get('ana', path)).status).toBe(503)
    }
    expect([anas.endings.length, store.kept.size]).toEqual([0, 1])
    ;(portal.failures as Error[]).splice(0)
  })
})
