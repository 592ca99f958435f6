import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  namesOf,
  PROTOCOLS,
  UNAUTHORIZED,
} from '../support/attacked-gateway.ts'

// Attacks B4, E29, I10.
//
// kube-apiserver trusts X-Remote-* from a proxy that it knows (CVE-2025-64432), other servers X-Forwarded-* and
// X-Original-*. What a client writes there must not get that far, and says nothing here either.

const attacked = attackedGateway({ policy: EVERYTHING })

const FORGED = [
  'X-Remote-User',
  'x-remote-user',
  'X-Remote-Group',
  'X-Remote-Uid',
  'X-Remote-Extra-Scopes',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Prefix',
  'X-Forwarded-Client-Cert',
  'Forwarded',
  'X-Real-IP',
  'X-Client-IP',
  'True-Client-IP',
  'X-Original-URL',
  'X-Original-Uri',
  'X-Rewrite-URL',
  'X-Auth-Request-User',
  'X-WEBAUTH-USER',
  'Remote-User',
  'SSL-Client-Cert',
  'Proxy-Authorization',
  'Via',
]

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('none of them is sent on', async () => {
    const lines = FORGED.map((name) => [name, 'system:admin'] as const)
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines }))
    expect(namesOf(seen)).toEqual(['audit-id', 'authorization', 'host'])
    expect(seen.rawHeaders.join('\n')).not.toContain('system:admin')
  })

  test('none of them signs anybody in', async () => {
    const lines = FORGED.map((name) => [name, 'ana@example.com'] as const)
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines, token: null })
    await attacked.expectRefused(answer, UNAUTHORIZED)
  })

  test('none of them says where a request is from', async () => {
    const lines = FORGED.map((name) => [name, '203.0.113.1'] as const)
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines, token: null })
    const event = await attacked.expectRefused(answer, UNAUTHORIZED)
    expect(event.sourceIPs).toEqual(['127.0.0.1'])
  })
})
