import { once } from 'node:events'
import { connect } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, FORBIDDEN, NOT_FOUND, PROTOCOLS } from '../support/attacked-gateway.ts'
import { exchange } from '../support/raw-exchange.ts'

// Attacks A20, B17, H10.
//
// Path, Host and SNI each name a cluster: authorized by the one, sent to another with the credential of a third.

const attacked = attackedGateway({
  hosts: ['production.example.com'],
  otherSockets: [{ name: 'staging', hosts: ['staging.example.com'], token: 'token-of-staging' }],
  policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: staging-only }
spec:
  sockets: [staging]
  subjects: { groups: [payments-dev] }
  rules:
  - { verbs: ["*"], resources: ["*"] }
`,
})

const SECRETS = '/api/v1/namespaces/default/secrets'

function over(protocol: string, host: string, target: string) {
  if (protocol === 'HTTP/2') return attacked.send('HTTP/2', { target, lines: [[':authority', host]] })
  const credential = `Authorization: Bearer ${attacked.gateway.token}`
  return attacked
    .write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${credential}\r\n\r\n`, { answers: 1 })
    .then(({ answers: [answer] }) => answer ?? { resetCode: 0 })
}

function credentialSeen(seen: { readonly rawHeaders: readonly string[] }): string | undefined {
  return seen.rawHeaders[seen.rawHeaders.indexOf('Authorization') + 1]
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['by path', 'localhost', `/sockets/staging${SECRETS}`],
    ['by host', 'staging.example.com', SECRETS],
    ['by host, in capitals and with a port', 'STAGING.example.com:8443', SECRETS],
    ['by both', 'staging.example.com', `/sockets/staging${SECRETS}`],
  ])('the socket that was granted is reached %s, with its own credential', async (_, host, target) => {
    const seen = attacked.expectForwarded(await over(protocol, host, target))
    expect(credentialSeen(seen)).toBe('Bearer token-of-staging')
  })

  test.each([
    ['by path', 'localhost', `/sockets/production${SECRETS}`],
    ['by host', 'production.example.com', SECRETS],
  ])('a grant for one socket is none for another, named %s', async (_, host, target) => {
    const event = await attacked.expectRefused(await over(protocol, host, target), FORBIDDEN)
    expect(event.annotations['postern.dev/socket']).toBe('production')
  })

  test.each([
    ['production.example.com', `/sockets/staging${SECRETS}`],
    ['staging.example.com', `/sockets/production${SECRETS}`],
  ])('the host %s and the path %s disagree, which is refused', async (host, target) => {
    await attacked.expectRefused(await over(protocol, host, target), BAD_REQUEST)
  })

  test.each(['staging.example.com.evil.example', 'evil.example', 'staging.example.co', 'xstaging.example.com'])(
    'the host %s names no socket',
    async (host) => {
      await attacked.expectRefused(await over(protocol, host, SECRETS), NOT_FOUND)
    },
  )

  test('nor does a path inside the path', async () => {
    const target = `/sockets/staging/sockets/production${SECRETS}`
    await attacked.expectRefused(await over(protocol, 'localhost', target), FORBIDDEN)
  })
})

test.each(['production.example.com', 'staging.example.com', 'evil.example', 'x'.repeat(60)])(
  'SNI %s has no say in it',
  async (servername) => {
    const { port, certificateAuthority, token } = attacked.gateway
    const connection = connect({
      port,
      host: '127.0.0.1',
      servername,
      ca: certificateAuthority,
      // The name is an attack, so that the certificate need not be for it; who signed it is verified.
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['http/1.1'],
    })
    await once(connection, 'secureConnect')
    const head = `GET ${SECRETS} HTTP/1.1\r\nHost: staging.example.com\r\nAuthorization: Bearer ${token}\r\n\r\n`
    const { answers } = await exchange(connection, head, { answers: 1 })
    connection.destroy()
    for (const answer of answers)
      expect(credentialSeen(attacked.expectForwarded(answer))).toBe('Bearer token-of-staging')
    expect(answers).toHaveLength(1)
  },
)
