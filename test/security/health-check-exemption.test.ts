import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  NOT_FOUND,
  PROTOCOLS,
  SOCKET,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'

// Attacks B16, E28, G7.
//
// A proxy that lets health checks pass unasked lets everybody pass who looks like one (CVE-2026-34457).

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    'kube-probe/1.36',
    'GoogleHC/1.0',
    'ELB-HealthChecker/2.0',
    'AlwaysOn',
    'Envoy/HC',
    'HAProxy',
    'Prometheus/3.0',
    '',
  ])('the user agent %j signs nobody in', async (userAgent) => {
    const lines = [['User-Agent', userAgent]] as const
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/secrets`, lines, token: null })
    await attacked.expectRefused(answer, UNAUTHORIZED)
  })

  test.each([
    '/healthz',
    '/livez',
    '/readyz',
    '/readyz?verbose',
    '/version',
    '/ping',
    '/metrics',
    '/.well-known/openid-configuration',
  ])('%s of a socket is for those who signed in', async (path) => {
    const answer = await attacked.send(protocol, { target: SOCKET + path, token: null })
    await attacked.expectRefused(answer, UNAUTHORIZED)
  })

  test.each(['/healthz', '/livez', '/readyz', '/metrics', '/debug/pprof/', '/json', '/'])(
    '%s is nothing on this listener',
    async (target) => {
      await attacked.expectRefused(await attacked.send(protocol, { target, token: null }), NOT_FOUND)
    },
  )

  test.each(['OPTIONS', 'HEAD'])('%s signs nobody in', async (method) => {
    const lines = [
      ['Origin', 'https://evil.example'],
      ['Access-Control-Request-Method', 'GET'],
    ] as const
    const answer = await attacked.send(protocol, { method, target: `${NAMESPACE}/secrets`, lines, token: null })
    if (method === 'OPTIONS') await attacked.expectRefused(answer, UNAUTHORIZED)
    else expect(answer).toMatchObject({ statusCode: 401, body: '' })
    if ('headers' in answer) expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
    expect(attacked.seen).toEqual([])
  })
})
