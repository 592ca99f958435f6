import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, SOCKET } from '../support/attacked-gateway.ts'

// Attacks G7, I9.
//
// What is open to whoever reaches it: it may tell how the connector is, and nothing of who did what, and change nothing.

const attacked = attackedGateway({ policy: EVERYTHING })

async function ops(
  path: string,
  init?: RequestInit,
): Promise<{ readonly status: number; readonly text: string; readonly headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${attacked.gateway.opsPort}${path}`, init)
  return { status: response.status, text: await response.text(), headers: response.headers }
}

test('metrics name no subject, namespace, object, path, address or token', async () => {
  await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods/name-of-a-pod` })
  await attacked.send('HTTP/1.1', {
    target: `${SOCKET}/api/v1/namespaces/name-of-a-namespace/secrets`,
    method: 'TRACE',
  })
  await attacked.send('HTTP/1.1', { target: '/sockets/name-of-no-socket/api' })
  await attacked.send('HTTP/1.1', { target: `${SOCKET}/x`, token: null })
  await attacked.send('HTTP/1.1', { target: `${SOCKET}/apis/a-group.example/v1/a-resource` })
  const { text } = await ops('/metrics')
  expect(text).toContain('postern_requests_total')
  expect(text).not.toMatch(/ana@|payments-dev|name-of|a-group|a-resource|TRACE|eyJ|token/i)
})

test('a verb that a client makes up makes no series', async () => {
  const count = async (): Promise<number> =>
    (await ops('/metrics')).text.match(/^postern_requests_total/gm)?.length ?? 0
  await attacked.send('HTTP/2', { method: 'MADEUP0', target: `${NAMESPACE}/pods` })
  const before = await count()
  for (let i = 1; i < 20; i += 1) await attacked.send('HTTP/2', { method: `MADEUP${i}`, target: `${NAMESPACE}/pods` })
  expect(await count()).toBe(before)
})

describe('nothing can be changed or found', () => {
  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('by %s', async (method) => {
    for (const path of ['/livez', '/metrics', '/']) expect((await ops(path, { method })).status).toBe(405)
  })

  test.each([
    '/',
    '/debug/pprof/',
    '/json/version',
    '/metrics/',
    '/metrics/../readyz/x',
    '/api',
    `${SOCKET}/api`,
    '/config',
  ])('at %s', async (path) => {
    expect((await ops(path)).status).toBe(404)
  })
})

test('a page may not read it', async () => {
  const { headers } = await ops('/metrics', { headers: { Origin: 'https://evil.example' } })
  expect(headers.get('access-control-allow-origin')).toBeNull()
  expect(headers.get('x-content-type-options')).toBe('nosniff')
})

test('the inspector does not listen', async () => {
  const inspector = await import('node:inspector')
  expect(inspector.url()).toBeUndefined()
})
