import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING } from '../support/attacked-gateway.ts'
import { SPDY, WEBSOCKET, endingOf, keptIds, keptOf, openExec, relay } from '../support/attacked-sessions.ts'

// Attack D13.
//
// Whoever knows, or guesses, the id of somebody else's session watches it, ends it or plays it (GHSA-q6xx-5vr8-p898).

const attacked = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

const GROUP = '/apis/postern.dev/v1alpha1'
const NOBODYS = '3f0e8c1a-9a54-4f6e-8b58-0a1b2c3d4e5f'
/** 122 random bits of RFC 9562, version 4. */
const RANDOM_ID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

interface PortalAnswer {
  readonly code: number
  readonly body: string
}

async function open(who: string, method: string, path: string): Promise<IncomingMessage> {
  const { gateway } = attacked
  const groups = who === 'ana' ? ['payments-dev'] : ['elsewhere']
  const token = who === '' ? '' : await gateway.issuer.sign({ sub: who, email: `${who}@example.com`, groups })
  const outgoing = request({
    host: '127.0.0.1',
    port: gateway.portalPort,
    ca: gateway.certificateAuthority,
    method,
    path: `${GROUP}${path}`,
    headers: who === '' ? {} : { authorization: `Bearer ${token}` },
    agent: false,
  }).end()
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  return answer
}

async function ask(who: string, method: string, path: string): Promise<PortalAnswer> {
  const answer = await open(who, method, path)
  const body = Buffer.concat((await answer.toArray()) as Buffer[]).toString()
  return { code: answer.statusCode ?? 0, body }
}

/** Without what is random in it. */
const plain = ({ code, body }: PortalAnswer, id: string): string =>
  `${code} ${body.replaceAll(id, 'ID').replaceAll(/audit id [\da-f-]+/g, 'audit id')}`

const idOf = async (auditId: string): Promise<string> => {
  const opening = async () =>
    (await attacked.gateway.events()).find(
      ({ auditID, annotations }) => auditID === auditId && annotations['postern.dev/session'],
    )
  await expect.poll(opening).toBeDefined()
  return (await opening())?.annotations['postern.dev/session'] ?? ''
}

describe('a session that is open', () => {
  test('exists for nobody but the person who opened it', async () => {
    const session = await openExec(attacked, WEBSOCKET)
    const id = await idOf(session.auditId)
    expect((await ask('ana', 'GET', `/sessions/${id}`)).code).toBe(200)
    for (const [method, rest] of [
      ['GET', ''],
      ['HEAD', ''],
      ['GET', '/follow'],
      ['DELETE', ''],
      ['DELETE', '?reason=mine%20now'],
    ] as const) {
      const [others, nobodys] = [
        await ask('boris', method, `/sessions/${id}${rest}`),
        await ask('boris', method, `/sessions/${NOBODYS}${rest}`),
      ]
      expect(others.code).toBe(404)
      expect(plain(others, id)).toBe(plain(nobodys, NOBODYS))
      expect((await ask('', method, `/sessions/${id}${rest}`)).code).toBe(401)
    }
    expect((await ask('boris', 'GET', '/sessions')).body).not.toContain(id)
    await relay(session, 'client', session.stdin('still here\n'))
    session.client.destroy()
    await session.closed
  })

  test('is followed by its own, and by nobody else', async () => {
    const session = await openExec(attacked, SPDY)
    const id = await idOf(session.auditId)
    const own = await open('ana', 'GET', `/sessions/${id}/follow`)
    expect(own.statusCode).toBe(200)
    let seen = ''
    own.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    expect((await ask('boris', 'GET', `/sessions/${id}/follow`)).body).not.toContain('secret output')
    await relay(session, 'upstream', session.stdout('secret output\n'))
    await expect.poll(() => seen).toContain('secret output')
    session.client.destroy()
    await session.closed
    await once(own, 'close')
  })

  test('is ended by its own, whose client is told', async () => {
    const session = await openExec(attacked, WEBSOCKET)
    expect((await ask('ana', 'DELETE', `/sessions/${await idOf(session.auditId)}`)).code).toBe(200)
    expect(await endingOf(session, WEBSOCKET)).toMatch(/^this session was ended by ana@example.com/)
  })

  test('is not there any more once it is over', async () => {
    const session = await openExec(attacked, SPDY)
    const id = await idOf(session.auditId)
    session.client.destroy()
    await session.closed
    await keptOf(attacked, session)
    for (const method of ['GET', 'DELETE']) expect((await ask('ana', method, `/sessions/${id}`)).code).toBe(404)
  })
})

test('a recording exists for nobody but the person whose session it is', async () => {
  const session = await openExec(attacked, SPDY)
  await relay(session, 'upstream', session.stdout('secret output\n'))
  session.client.destroy()
  await session.closed
  const { manifest } = await keptOf(attacked, session)
  const { id } = manifest.session
  expect((await ask('ana', 'GET', `/recordings/${id}/cast`)).body).toContain('secret output')
  for (const [method, rest] of [
    ['GET', ''],
    ['HEAD', ''],
    ['GET', '/cast'],
    ['HEAD', '/cast'],
  ] as const) {
    const [others, nobodys] = [
      await ask('boris', method, `/recordings/${id}${rest}`),
      await ask('boris', method, `/recordings/${NOBODYS}${rest}`),
    ]
    expect(others.code).toBe(404)
    expect(plain(others, id)).toBe(plain(nobodys, NOBODYS))
    expect((await ask('', method, `/recordings/${id}${rest}`)).code).toBe(401)
  }
  expect((await ask('boris', 'GET', '/recordings')).body).not.toContain(id)
  expect((await ask('boris', 'DELETE', `/recordings/${id}`)).code).toBe(404)
  expect(await keptIds(attacked)).toContain(id)
})

test.each(['..', '../audit', '%2e%2e%2faudit', '.', '.lock', '__proto__', `${NOBODYS}/../x`, 'a'.repeat(10_000)])(
  'an id that is a path (%s) leads nowhere',
  async (id) => {
    for (const path of [`/recordings/${id}`, `/recordings/${id}/cast`, `/sessions/${id}`, `/sessions/${id}/follow`]) {
      const { code, body } = await ask('ana', 'GET', path)
      expect([400, 404, 405, 414, 431]).toContain(code)
      expect(body).not.toContain(attacked.gateway.directory)
    }
  },
)

test('ids are random', async () => {
  const ids = new Set<string>()
  for (let i = 0; i < 5; i += 1) {
    const session = await openExec(attacked, SPDY)
    const id = await idOf(session.auditId)
    expect(id).toMatch(RANDOM_ID)
    expect(id).not.toBe(session.auditId)
    ids.add(id).add(session.auditId)
    session.client.destroy()
  }
  expect(ids.size).toBe(10)
})
