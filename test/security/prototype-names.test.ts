import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  FORBIDDEN,
  NAMESPACE,
  NOT_FOUND,
  PROTOCOLS,
  SOCKET,
  valuesOf,
} from '../support/attacked-gateway.ts'

// Attack B14.
//
// Names that every JavaScript object has, where a name is looked up: as a header (CVE-2026-21710), a parameter, a
// claim, a socket, a resource.

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf']

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(NAMES)('%s as a parameter is a parameter', async (name) => {
    const target = `${NAMESPACE}/pods?${name}=1&${name}[watch]=1&${name}.watch=1`
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target }))
    expect(seen.target).toBe(`/api/v1/namespaces/default/pods?${name}=1&${name}%5Bwatch%5D=1&${name}.watch=1`)
  })

  test.each(NAMES)('%s as a name, a resource and a namespace is that', async (name) => {
    const path = `/api/v1/namespaces/${name}/${name}/${name}`
    expect(attacked.expectForwarded(await attacked.send(protocol, { target: SOCKET + path })).target).toBe(path)
  })

  test.each(NAMES)('there is no socket %s', async (name) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: `/sockets/${name}/api` }), NOT_FOUND)
  })

  test.each(['constructor', 'prototype', 'hasOwnProperty', 'valueOf'])('%s as a header is left out', async (name) => {
    const lines = [[name, 'x']] as const
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines }))
    expect(valuesOf(seen, name.toLowerCase())).toEqual([])
  })

  test.each(['__proto__', '__defineGetter__'])('%s as a header is refused', async (name) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines: [[name, 'x']] })
    await attacked.expectRefused(answer, { code: 400, reason: 'BadRequest' })
  })

  test('claims of these names are no claims that count', async () => {
    const claims = Object.fromEntries(NAMES.map((name) => [name, { groups: ['payments-dev'] }]))
    const token = await attacked.gateway.issuer.sign({ ...claims, groups: NAMES })
    await attacked.expectRefused(await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token }), FORBIDDEN)
  })
})

test('a review with these names in its body is answered for what it asks', async () => {
  const target = `${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`
  const body =
    '{"__proto__":{"spec":{}},"constructor":{},"spec":{"__proto__":{"verb":"get"},"resourceAttributes":{"__proto__":{"verb":"get","resource":"pods"}}}}'
  const answer = await attacked.send('HTTP/1.1', { method: 'POST', target, body })
  expect(answer).toMatchObject({ statusCode: 201 })
  expect(JSON.parse('body' in answer ? answer.body : '')).toMatchObject({ status: { allowed: false } })
  expect(attacked.seen).toEqual([])
  expect(({} as Record<string, unknown>)['verb']).toBeUndefined()
})
