import { describe, expect, test } from 'vitest'
import { attackedGateway, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  type AttackedSession,
  EXEC,
  SPDY,
  WEBSOCKET,
  keptIds,
  openExec,
  upgradeHead,
} from '../support/attacked-sessions.ts'

// Attack D14.
//
// kubectl asks twice, by WebSocket and then by SPDY. What a rule grants a number of times must neither be spent by the
// first attempt, nor be had twice by way of the second.

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: shells }
spec:
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: [create], resources: [pods/exec, pods/attach], namespaces: [default], session: { maxConcurrent: 1 } }
  - { verbs: [get, list], resources: [pods], namespaces: [default] }
`

const attacked = attackedGateway({ policy: POLICY, recordings: { store: { directory: 'recordings' } } })

const TOO_MANY = {
  code: 429,
  reason: 'TooManyRequests',
  message: /you have 1 session open, as many as rule shells#1 allows/,
}

async function end(session: AttackedSession): Promise<void> {
  session.client.destroy()
  await session.closed
  await attacked.eventOf(session.auditId)
}

describe('the attempt by SPDY has the place that the one by WebSocket did not get', () => {
  test.each([400, 403, 404, 500])('when the API server answers %d to it', async (code) => {
    const before = await keptIds(attacked)
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.end(`HTTP/1.1 ${code} No\r\nContent-Length: 2\r\n\r\n{}`)
    }
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const answer = await attacked.writeForOne(upgradeHead(attacked, { ...WEBSOCKET, target: EXEC }))
      expect(answer.statusCode).toBe(code)
    }
    await end(await openExec(attacked, SPDY))
    expect(await keptIds(attacked)).toHaveLength(before.length + 1)
  })

  test.each([
    ['does not switch', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['switches to something else', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['breaks off', ''],
  ])('when the API server %s', async (_, bytes) => {
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.end(bytes)
    }
    const answer = await attacked.writeForOne(upgradeHead(attacked, { ...WEBSOCKET, target: EXEC }))
    expect(answer.statusCode).toBe(502)
    await end(await openExec(attacked, SPDY))
  })

  test('when its client left before the API server answered', async () => {
    const asked = new Promise<void>((resolve) => {
      attacked.apiServer.onUpgrade = () => {
        resolve()
      }
    })
    const client = await attacked.connect()
    client.write(upgradeHead(attacked, { ...WEBSOCKET, target: EXEC }))
    await asked
    client.destroy()
    await expect.poll(() => openExec(attacked, SPDY).then(end, String)).toBeUndefined()
  })
})

describe('one place is one place', () => {
  test('for both protocols and all that the rule is for', async () => {
    const first = await openExec(attacked, WEBSOCKET)
    attacked.seen.length = 0
    for (const protocol of [SPDY, WEBSOCKET]) {
      for (const subresource of ['exec', 'attach']) {
        const target = EXEC.replace('exec', subresource).replace('/web/', '/other/')
        await attacked.expectRefused(await attacked.writeOnce(upgradeHead(attacked, { ...protocol, target })), TOO_MANY)
      }
    }
    await end(first)
    await end(await openExec(attacked, SPDY))
  })

  test('for attempts that come at once', async () => {
    let opened = 0
    attacked.apiServer.onUpgrade = () => {
      opened += 1
    }
    const clients = await Promise.all(Array.from({ length: 10 }, () => attacked.connect()))
    const heads: string[] = []
    for (const client of clients) {
      client.once('data', (chunk: Buffer) => heads.push(chunk.toString('latin1', 0, 12)))
      client.write(upgradeHead(attacked, { ...SPDY, target: EXEC }))
    }
    await expect.poll(() => heads.length).toBe(9)
    await expect.poll(() => opened).toBe(1)
    expect(new Set(heads)).toEqual(new Set(['HTTP/1.1 429']))
    for (const client of clients) client.destroy()
    await expect.poll(() => openExec(attacked, SPDY).then(end, String)).toBeUndefined()
  })

  test('for each person', async () => {
    const first = await openExec(attacked, SPDY)
    const token = await attacked.gateway.issuer.sign({ sub: 'boris', email: 'boris@example.com' })
    await end(await openExec(attacked, SPDY, { token }))
    await end(first)
  })
})

test('a place is not taken by what is refused before', async () => {
  const elsewhere = EXEC.replace('/default/', '/other/')
  const denied = await attacked.writeOnce(upgradeHead(attacked, { ...SPDY, target: elsewhere }))
  await attacked.expectRefused(denied, { code: 403, reason: 'Forbidden' })
  const malformed = upgradeHead(attacked, { ...SPDY, subprotocol: 'nobody’s', target: `${NAMESPACE}/pods/web/exec` })
  expect((await attacked.writeOnce(malformed)).statusCode).toBe(400)
  await end(await openExec(attacked, SPDY))
})
