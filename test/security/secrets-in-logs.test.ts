import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

// Attacks G1, G2.
//
// Whatever passes through, nothing of it that lets anybody in, and nothing of a body, may stay behind in a log, a trail
// or a metric (CVE-2019-11250, CVE-2020-8563, CVE-2020-8564, CVE-2020-8565, CVE-2020-8566, CVE-2023-22649,
// CVE-2024-58269, CVE-2025-24884, CVE-2025-62513, CVE-2025-62705).

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const PASSWORD = 'hunter2-hunter2-hunter2'
const COOKIE = 'cookie-of-somebody'
const BODY = '{"kind":"Secret","data":{"password":"c2VjcmV0LW9mLXRoZS1ib2R5"}}'
const REVIEW = `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods","name":"${PASSWORD}"}}}`

let expired: string

/** Everything that is written anywhere, with the parts of each token that alone would be of use to a thief. */
async function written(): Promise<string> {
  const metrics = await fetch(`http://127.0.0.1:${attacked.gateway.opsPort}/metrics`)
  const readiness = await fetch(`http://127.0.0.1:${attacked.gateway.opsPort}/readyz?verbose`)
  const trail = await readFile(attacked.gateway.auditFile, 'utf8')
  return [trail, ...attacked.gateway.log, await metrics.text(), await readiness.text()].join('\n')
}

beforeAll(async () => {
  expired = await attacked.gateway.issuer.sign({ exp: Math.floor(Date.now() / 1000) - 3600 })
})

describe.each(PROTOCOLS)('over %s nothing stays of', (protocol) => {
  test.each<[string, () => Parameters<typeof attacked.send>[1]]>([
    ['a token that is good', () => ({ target: `${NAMESPACE}/pods` })],
    ['a token that has expired', () => ({ target: `${NAMESPACE}/pods`, token: expired })],
    ['a token that is malformed', () => ({ target: `${NAMESPACE}/pods`, token: `${attacked.gateway.token}.x` })],
    ['a token that is cut', () => ({ target: `${NAMESPACE}/pods`, token: attacked.gateway.token.slice(0, -1) })],
    [
      'a token without its scheme',
      () => ({ target: `${NAMESPACE}/pods`, token: null, lines: [['Authorization', attacked.gateway.token]] }),
    ],
    [
      'a password',
      () => ({
        target: `${NAMESPACE}/pods`,
        token: null,
        lines: [['Authorization', `Basic ${Buffer.from(`ana:${PASSWORD}`).toString('base64')}`]],
      }),
    ],
    ['a token in a parameter', () => ({ target: `${NAMESPACE}/pods?access_token=${attacked.gateway.token}` })],
    [
      'a token in a parameter without a name for it',
      () => ({ target: `${NAMESPACE}/pods?x=${attacked.gateway.token}` }),
    ],
    [
      'a token in a parameter that is refused',
      () => ({ target: `${NAMESPACE}/pods?a;b&x=${attacked.gateway.token}`, token: null }),
    ],
    ['a token for no socket', () => ({ target: `/?id_token=${attacked.gateway.token}`, token: null })],
    [
      'a token as a user agent',
      () => ({ target: `${NAMESPACE}/pods`, lines: [['User-Agent', `curl ${attacked.gateway.token}`]] }),
    ],
    ['a signature in a parameter', () => ({ target: `${NAMESPACE}/pods?X-Amz-Signature=${PASSWORD}` })],
    [
      'a password of a command',
      () => ({ target: `${NAMESPACE}/pods/web/exec?command=mysql&command=--password%3D${PASSWORD}` }),
    ],
    [
      'a password behind its flag',
      () => ({ target: `${NAMESPACE}/pods/web/exec?command=login&command=--password&command=${PASSWORD}` }),
    ],
    [
      'a password of an environment',
      () => ({ target: `${NAMESPACE}/pods/web/exec?command=env&command=PGPASSWORD%3D${PASSWORD}` }),
    ],
    ['a cookie', () => ({ target: `${NAMESPACE}/pods`, lines: [['Cookie', `session=${COOKIE}`]] })],
    ['a body', () => ({ method: 'POST', target: `${NAMESPACE}/secrets`, body: BODY })],
    [
      'a body that is denied',
      () => ({ method: 'POST', target: `${SOCKET}/apis/rbac.authorization.k8s.io/v1/clusterroles`, body: BODY }),
    ],
    [
      'a body without a credential',
      () => ({ method: 'POST', target: `${NAMESPACE}/secrets`, body: BODY, token: null }),
    ],
    [
      'a review',
      () => ({
        method: 'POST',
        target: `${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`,
        body: REVIEW,
      }),
    ],
    [
      'a review that is malformed',
      () => ({
        method: 'POST',
        target: `${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`,
        body: PASSWORD,
      }),
    ],
  ])('%s', async (_, request) => {
    await attacked.send(protocol, request())
  })
})

describe('nothing stays of', () => {
  const SPDY = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io']

  test('a session that the API server refuses', async () => {
    const target = `${NAMESPACE}/pods/web/exec?command=mysql&command=--password%3D${PASSWORD}`
    const { statusCode } = await attacked.writeOnce(attacked.head('POST', target, SPDY))
    expect(statusCode).toBe(400)
    expect(attacked.seen).toHaveLength(1)
  })

  test('a token among the protocols of a WebSocket', async () => {
    const entry = `base64url.bearer.authorization.k8s.io.${Buffer.from(attacked.gateway.token).toString('base64url')}`
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Protocol: v5.channel.k8s.io, ${entry}`]
    const { statusCode } = await attacked.writeOnce(attacked.head('GET', `${NAMESPACE}/pods/web/exec`, lines))
    expect(statusCode).toBeGreaterThanOrEqual(400)
  })

  test('a token in bytes that are no request', async () => {
    const { token } = attacked.gateway
    for (const bytes of [`${token}\r\n\r\n`, `GET / HTTP/1.1\r\nAuthorization : Bearer ${token}\r\n\r\n`]) {
      expect((await attacked.writeOnce(bytes)).statusCode).toBe(400)
    }
  })

  test('a token as somebody to be', async () => {
    const lines = [`Impersonate-User: ${attacked.gateway.token}`]
    const answer = await attacked.writeForOne(attacked.head('GET', `${NAMESPACE}/pods`, lines))
    expect(answer.statusCode).toBe(403)
  })

  test('what is sent to the portal', async () => {
    const { portalPort: port, certificateAuthority: ca, token } = attacked.gateway
    for (const path of [`/?code=${PASSWORD}&id_token=${token}`, `/apis/postern.dev/v1alpha1/sockets?x=${token}`]) {
      for (const authorization of [`Bearer ${token}`, `Bearer ${expired}`, `Bearer ${token}.x`]) {
        const headers = { Authorization: authorization, Cookie: `session=${COOKIE}` }
        const [answer] = (await once(
          get({ host: '127.0.0.1', port, path, ca, headers, agent: false }),
          'response',
        )) as [IncomingMessage]
        expect(await text(answer)).not.toContain(token)
      }
    }
  })

  test('what is sent to the listener of operators', async () => {
    const url = `http://127.0.0.1:${attacked.gateway.opsPort}/metrics?access_token=${attacked.gateway.token}`
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${attacked.gateway.token}` } })
    expect(await answer.text()).not.toContain(attacked.gateway.token)
  })
})

test('nothing stays of an upstream’s answer, whole or broken', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.end(BODY)
  }
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/secrets` })
  attacked.apiServer.onRequest = (request) => {
    request.socket.write(`HTTP/1.1 200 OK\r\nX: ${BODY}\0\r\n\r\n`)
  }
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/secrets` })
})

test('and so, after all of that, nothing is anywhere', async () => {
  const events = await attacked.gateway.events()
  expect(events.length).toBeGreaterThan(40)
  const all = await written()
  const secrets = [attacked.gateway.token, expired].flatMap((token) => token.split('.').filter((_, i) => i !== 0))
  for (const secret of [...secrets, attacked.apiServer.token, PASSWORD, COOKIE]) expect(all).not.toContain(secret)
  expect(all).not.toContain(Buffer.from(`ana:${PASSWORD}`).toString('base64'))
  expect(all).not.toContain(Buffer.from(attacked.gateway.token).toString('base64url'))
  expect(all).not.toContain('c2VjcmV0LW9mLXRoZS1ib2R5')
})
