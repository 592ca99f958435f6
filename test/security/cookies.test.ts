import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  namesOf,
  PROTOCOLS,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'

// Attacks B19, F8.
//
// Pages behind `proxy` share one origin: a cookie of one would be sent to the next, and script of one could act with
// what the browser holds for all.

const attacked = attackedGateway({ policy: EVERYTHING })

const PAGE = `${NAMESPACE}/services/web/proxy/`

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a cookie is not sent on', async () => {
    const lines = [['Cookie', 'session=1; other=2']] as const
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: PAGE, lines }))
    expect(namesOf(seen)).not.toContain('cookie')
  })

  test('a cookie signs nobody in', async () => {
    const { token } = attacked.gateway
    const lines = [['Cookie', `token=${token}; Authorization=Bearer ${token}; id_token=${token}`]] as const
    await attacked.expectRefused(await attacked.send(protocol, { target: PAGE, lines, token: null }), UNAUTHORIZED)
  })

  test('a page cannot set one, nor act in the name of this origin', async () => {
    attacked.apiServer.onRequest = (_request, response) => {
      response.writeHead(200, {
        'Content-Type': 'text/html',
        'Set-Cookie': ['a=b', 'c=d; Domain=example.com'],
        'set-cookie2': 'e=f',
        'Content-Security-Policy': "default-src 'unsafe-inline'",
        'Service-Worker-Allowed': '/',
        'Clear-Site-Data': '"*"',
        'Strict-Transport-Security': 'max-age=0',
        'Alt-Svc': 'h3="evil.example:443"',
        'Access-Control-Allow-Origin': '*',
      })
      response.end('<script>fetch("/sockets/production/api/v1/secrets")</script>')
    }
    const answer = await attacked.send(protocol, { target: PAGE })
    if (!('headers' in answer)) throw new Error('no answer')
    expect(answer.headers).toMatchObject({ 'content-security-policy': 'sandbox', 'x-content-type-options': 'nosniff' })
    const kept = Object.keys(answer.headers)
    for (const name of ['set-cookie', 'set-cookie2', 'service-worker-allowed', 'clear-site-data', 'alt-svc']) {
      expect(kept).not.toContain(name)
    }
    expect(kept).not.toContain('strict-transport-security')
  })
})
