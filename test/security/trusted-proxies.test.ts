import { once } from 'node:events'
import { connect } from 'node:tls'
import { describe, expect, test } from 'vitest'
import {
  type AttackedGateway,
  attackedGateway,
  BAD_REQUEST,
  FORBIDDEN,
  NAMESPACE,
  namesOf,
  PROTOCOLS,
} from '../support/attacked-gateway.ts'
import { exchange } from '../support/raw-exchange.ts'

// Attacks B13, I10.
//
// A proxy in front says in X-Forwarded-For who it talks to, behind whatever its own client wrote there. Only what a
// trusted proxy wrote may count, for the policy and in the audit trail, whichever door a request comes through.

const policy = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: office }
spec:
  subjects: { groups: [payments-dev] }
  conditions: { sourceIPs: [192.0.2.0/24] }
  rules:
  - { verbs: ["*"], resources: ["*", pods/exec] }
`
const TARGET = `${NAMESPACE}/pods`
const OFFICE = '192.0.2.7'
const ELSEWHERE = '203.0.113.1'

describe('behind a proxy that is trusted', () => {
  const attacked = attackedGateway({ policy, trustedProxies: ['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48'] })
  const forwardedFor = (...values: string[]) => values.map((value) => ['X-Forwarded-For', value] as const)

  describe.each(PROTOCOLS)('over %s', (protocol) => {
    test.each<[because: string, values: readonly string[], sourceIPs: readonly string[]]>([
      ['the client that it names', [OFFICE], [OFFICE, '127.0.0.1']],
      ['the client, not what the client wrote', [`${ELSEWHERE}, ${OFFICE}`], [OFFICE, '127.0.0.1']],
      ['the client behind another proxy', [`${OFFICE}, 10.0.0.2`], [OFFICE, '10.0.0.2', '127.0.0.1']],
      [
        'the client in a line of its own',
        [ELSEWHERE, OFFICE, '[2001:db8:1::2]:443'],
        [OFFICE, '2001:db8:1::2', '127.0.0.1'],
      ],
      ['the client as IPv6 writes it', ['::ffff:192.0.2.7'], [OFFICE, '127.0.0.1']],
    ])('%s counts', async (_, values, sourceIPs) => {
      const answer = await attacked.send(protocol, { target: TARGET, lines: forwardedFor(...values) })
      const seen = attacked.expectForwarded(answer)
      expect(namesOf(seen)).toEqual(['audit-id', 'authorization', 'host'])
      const auditId = 'headers' in answer ? answer.headers['audit-id'] : ''
      expect((await attacked.eventOf(String(auditId))).sourceIPs).toEqual(sourceIPs)
    })

    test.each<[attack: string, lines: readonly (readonly [string, string])[], sourceIPs: readonly string[]]>([
      ['an entry before its own', forwardedFor(`${OFFICE}, ${ELSEWHERE}`), [ELSEWHERE, '127.0.0.1']],
      ['a line before its own', forwardedFor(OFFICE, ELSEWHERE), [ELSEWHERE, '127.0.0.1']],
      ['proxies of its own making', forwardedFor(`${OFFICE}, 10.0.0.2, ${ELSEWHERE}`), [ELSEWHERE, '127.0.0.1']],
      [
        'an entry before one that an inner proxy believed',
        forwardedFor(`${OFFICE}, ${ELSEWHERE}, 10.0.0.2`),
        [ELSEWHERE, '10.0.0.2', '127.0.0.1'],
      ],
      ['an entry that is none behind it', forwardedFor(`${OFFICE}, unknown`), ['127.0.0.1']],
      ['nothing behind it', forwardedFor(`${OFFICE},`), ['127.0.0.1']],
      ['nothing behind it, in another line', forwardedFor(OFFICE, ''), ['127.0.0.1']],
      ['more than one address in an entry', forwardedFor(`${OFFICE} ${OFFICE}`), ['127.0.0.1']],
      ['quotes', forwardedFor(`"${OFFICE}"`), ['127.0.0.1']],
      ['digits that some read as octal', forwardedFor('0192.0.2.7'), ['127.0.0.1']],
      ['no entry at all', [], ['127.0.0.1']],
      ['Forwarded', [['Forwarded', `for=${OFFICE}`]], ['127.0.0.1']],
      ['X-Real-IP', [['X-Real-IP', OFFICE]], ['127.0.0.1']],
      ['X-Original-Forwarded-For', [['X-Original-Forwarded-For', OFFICE]], ['127.0.0.1']],
    ])('a claim by way of %s does not', async (_, lines, sourceIPs) => {
      const answer = await attacked.send(protocol, { target: TARGET, lines })
      const event = await attacked.expectRefused(answer, FORBIDDEN)
      expect(event.sourceIPs).toEqual(sourceIPs)
    })

    test('Connection does not make the gateway forget what the proxy wrote', async () => {
      const lines = [['X-Forwarded-For', ELSEWHERE], ...(protocol === 'HTTP/1.1' ? [CONNECTION] : [])] as const
      const event = await attacked.expectRefused(await attacked.send(protocol, { target: TARGET, lines }), FORBIDDEN)
      expect(event.sourceIPs).toEqual([ELSEWHERE, '127.0.0.1'])
    })

    test('nor a claim in a head of which not every line may have been kept', async () => {
      const padding = Array.from({ length: 110 }, (_, i) => [`X-${i}`, 'x'] as const)
      const lines = [...forwardedFor(OFFICE), ...padding, ...forwardedFor(ELSEWHERE)]
      const answer = await attacked.send(protocol, { target: TARGET, lines })
      expect((await attacked.expectRefused(answer, BAD_REQUEST)).sourceIPs).toEqual(['127.0.0.1'])
    })
  })

  const UPGRADE = [
    'Connection: Upgrade',
    'Upgrade: SPDY/3.1',
    'X-Stream-Protocol-Version: v4.channel.k8s.io',
    'Content-Length: 0',
  ]

  test('an upgrade is refused to a claim', async () => {
    const head = attacked.head('POST', `${TARGET}/web/exec?command=sh&stdout=true`, [
      ...UPGRADE,
      `X-Forwarded-For: ${OFFICE}, ${ELSEWHERE}`,
    ])
    const event = await attacked.expectRefused(await attacked.writeOnce(head), FORBIDDEN)
    expect(event.sourceIPs).toEqual([ELSEWHERE, '127.0.0.1'])
  })

  test('and let through for the client', async () => {
    attacked.apiServer.onUpgrade = (_request, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    }
    const client = await attacked.connect()
    client.write(
      attacked.head('POST', `${TARGET}/web/exec?command=sh&stdout=true`, [...UPGRADE, `X-Forwarded-For: ${OFFICE}`]),
    )
    await once(client, 'data')
    expect(attacked.seen).toHaveLength(1)
    client.destroy()
  })

  test('the portal is told the same way', async () => {
    expect(await portalSources(attacked, OFFICE)).toEqual([OFFICE, '127.0.0.1'])
    expect(await portalSources(attacked, OFFICE, `${ELSEWHERE}, 10.0.0.2`)).toEqual([
      ELSEWHERE,
      '10.0.0.2',
      '127.0.0.1',
    ])
    expect(await portalSources(attacked, OFFICE, 'unknown')).toEqual(['127.0.0.1'])
  })

  test('what is no request has the address of the connection', async () => {
    const answer = await attacked.writeOnce(`GET ${TARGET} HTTPS/1.1\r\nX-Forwarded-For: ${OFFICE}\r\n\r\n`)
    expect((await attacked.expectRefused(answer, BAD_REQUEST)).sourceIPs).toEqual(['127.0.0.1'])
  })
})

/** The source addresses of an event of the portal's, which is asked by Ana with these lines. */
async function portalSources(attacked: AttackedGateway, ...values: readonly string[]): Promise<readonly string[]> {
  const { portalPort: port, certificateAuthority: ca, token } = attacked.gateway
  const client = connect({ host: '127.0.0.1', port, ca })
  await once(client, 'secureConnect')
  const lines = values.map((value) => `X-Forwarded-For: ${value}\r\n`).join('')
  const target = '/apis/postern.dev/v1alpha1/sessions'
  const head = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n${lines}\r\n`
  const { answers } = await exchange(client, head, { answers: 1 })
  client.destroy()
  expect(answers).toMatchObject([{ statusCode: 200 }])
  return (await attacked.eventOf(answers[0]?.headers['audit-id'] ?? '')).sourceIPs
}

const CONNECTION = ['Connection', 'X-Forwarded-For'] as const

describe('from somebody else than the proxy that is trusted', () => {
  const attacked = attackedGateway({ policy, trustedProxies: [OFFICE, '10.0.0.0/8', '127.0.0.2', '::1'] })

  test.each(PROTOCOLS)('over %s the header says nothing', async (protocol) => {
    for (const value of [OFFICE, `${OFFICE}, 10.0.0.2`, '10.0.0.2', `${OFFICE}, 127.0.0.2`, 'x', '']) {
      const answer = await attacked.send(protocol, { target: TARGET, lines: [['X-Forwarded-For', value]] })
      expect((await attacked.expectRefused(answer, FORBIDDEN)).sourceIPs).toEqual(['127.0.0.1'])
    }
  })

  test('nor does it to the portal', async () => {
    expect(await portalSources(attacked, `${OFFICE}, 10.0.0.2`)).toEqual(['127.0.0.1'])
  })
})
