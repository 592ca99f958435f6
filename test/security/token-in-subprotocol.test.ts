import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, UNAUTHORIZED, valuesOf } from '../support/attacked-gateway.ts'
import { WEBSOCKET, keptIds, keptOf, openSession, relay, stdout } from '../support/attacked-sessions.ts'

// Attacks B6, D16.
//
// Kubernetes takes a token as a WebSocket subprotocol from browsers. A header that is echoed and logged is no place
// for it.

const attacked = attackedGateway({ policy: EVERYTHING })

const EXEC = `${NAMESPACE}/pods/web/exec?command=id`
const PREFIX = 'base64url.bearer.authorization.k8s.io.'

function webSocket(subprotocols: readonly string[], credential: string): string {
  const lines = [
    `GET ${EXEC} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...subprotocols.map((value) => `Sec-WebSocket-Protocol: ${value}`),
    ...(credential === '' ? [] : [`Authorization: Bearer ${credential}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function entry(prefix = PREFIX): string {
  return prefix + Buffer.from(attacked.gateway.token).toString('base64url')
}

test.each<[string, () => string[], () => string]>([
  ['alone', () => [`v5.channel.k8s.io, ${entry()}`], () => ''],
  ['on a line of its own', () => ['v5.channel.k8s.io', entry()], () => ''],
  ['beside the header', () => [`v5.channel.k8s.io, ${entry()}`], () => attacked.gateway.token],
  [
    'in other letters beside the header',
    () => [`v5.channel.k8s.io, ${entry(PREFIX.toUpperCase())}`],
    () => attacked.gateway.token,
  ],
  ['twice', () => [`${entry()}, ${entry()}, v5.channel.k8s.io`], () => ''],
])('a token in the subprotocol, %s, is refused and told to nobody', async (_, subprotocols, credential) => {
  const answer = await attacked.writeOnce(webSocket(subprotocols(), credential()))
  await attacked.expectRefused(answer, UNAUTHORIZED)
  const told = JSON.stringify([answer, await attacked.gateway.events(), attacked.gateway.log])
  expect(told).not.toContain(Buffer.from(attacked.gateway.token).toString('base64url'))
})

test('an API server that chooses what was not offered is cut off', async () => {
  attacked.apiServer.onUpgrade = (_request, socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ${PREFIX}abc\r\n\r\n`,
    )
  }
  const answer = await attacked.writeOnce(webSocket(['v5.channel.k8s.io'], attacked.gateway.token))
  expect(answer.statusCode).toBe(502)
  expect(JSON.stringify(answer)).not.toContain('base64url')
  expect(attacked.seen.map((seen) => valuesOf(seen, 'sec-websocket-protocol'))).toEqual([['v5.channel.k8s.io']])
})

describe('with its recording required', () => {
  const recorded = attackedGateway({ policy: EVERYTHING, recordings: { store: { directory: 'recordings' } } })

  test('one that is refused leaves no recording', async () => {
    const token = `${PREFIX}${Buffer.from(recorded.gateway.token).toString('base64url')}`
    await recorded.expectRefused(await recorded.writeOnce(webSocket([`v5.channel.k8s.io, ${token}`], '')), UNAUTHORIZED)
    expect(await keptIds(recorded)).toEqual([])
  })

  test('a secret in a subprotocol that nobody knows is in no part of the account, nor sent on', async () => {
    const secret = 'correct-horse-battery-staple'
    const session = await openSession(recorded, {
      ...WEBSOCKET,
      target: `${EXEC}&stdout=true`,
      lines: [`Sec-WebSocket-Protocol: bearer.${secret}`, `Sec-WebSocket-Protocol: base64url.bearer.${secret}`],
    })
    await relay(session, 'upstream', stdout('out\n'))
    session.client.destroy()
    await session.closed
    const kept = await keptOf(recorded, session)
    const told = [session.head, kept.event, kept.manifest, kept.cast, recorded.gateway.log, recorded.seen]
    expect(JSON.stringify(told)).not.toContain(secret)
    expect(JSON.stringify(told)).not.toContain(recorded.gateway.token)
    expect(kept.manifest.session.subprotocol).toBe('v5.channel.k8s.io')
  })
})
