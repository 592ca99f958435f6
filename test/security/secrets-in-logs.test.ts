import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, SOCKET } from '../support/attacked-gateway.ts'

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
  const text = await written()
  const secrets = [attacked.gateway.token, expired].flatMap((token) => token.split('.').filter((_, i) => i !== 0))
  for (const secret of [...secrets, attacked.apiServer.token, PASSWORD, COOKIE]) expect(text).not.toContain(secret)
  expect(text).not.toContain(Buffer.from(`ana:${PASSWORD}`).toString('base64'))
  expect(text).not.toContain('c2VjcmV0LW9mLXRoZS1ib2R5')
})
