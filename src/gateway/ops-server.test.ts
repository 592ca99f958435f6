import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { PolicyStatus } from '../policy/policy-status.ts'
import { type ReadinessCheck, createOpsServer } from './ops-server.ts'

let checks: ReadinessCheck[] = []
const server = createOpsServer({
  checks: () => checks,
  policy: () => ({}) as PolicyStatus,
  metrics: () => Promise.resolve({ contentType: 'text/plain', text: '' }),
})

async function readyz(query = ''): Promise<{ status: number; text: string }> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/readyz${query}`)
  return { status: response.status, text: await response.text() }
}

afterEach(() => {
  server.close()
  server.closeAllConnections()
})

const holds = (name: string): ReadinessCheck => ({ name, ready: true, reason: '' })
const fails = (name: string): ReadinessCheck => ({ name, ready: false, reason: 'it is away' })
const oneOf = (kind: string, check: ReadinessCheck): ReadinessCheck => ({ ...check, oneOf: kind })

describe('/readyz', () => {
  it.each<[string, ReadinessCheck[], number]>([
    ['everything holds', [holds('audit'), oneOf('sockets', holds('socket/a'))], 200],
    [
      'one of two sockets is away',
      [holds('audit'), oneOf('sockets', fails('socket/a')), oneOf('sockets', holds('socket/b'))],
      200,
    ],
    [
      'every socket is away',
      [holds('audit'), oneOf('sockets', fails('socket/a')), oneOf('sockets', fails('socket/b'))],
      503,
    ],
    ['the only socket is away', [holds('audit'), oneOf('sockets', fails('socket/a'))], 503],
    ['a socket was not asked yet', [oneOf('sockets', holds('socket/a')), fails('socket/b')], 503],
    ['something that all need is away', [fails('audit'), oneOf('sockets', holds('socket/a'))], 503],
    [
      'one of two issuers is away, and one of two sockets',
      [
        oneOf('issuers', fails('issuer/a')),
        oneOf('issuers', holds('issuer/b')),
        oneOf('sockets', holds('socket/a')),
        oneOf('sockets', fails('socket/b')),
      ],
      200,
    ],
    ['every issuer is away', [oneOf('issuers', fails('issuer/a')), oneOf('sockets', holds('socket/a'))], 503],
    ['there are no alternatives', [holds('audit')], 200],
  ])('when %s', async (_case, given, status) => {
    checks = given
    expect((await readyz()).status).toBe(status)
    expect((await readyz('?verbose')).status).toBe(status)
  })

  it('says what is away although the connector is ready', async () => {
    checks = [holds('audit'), oneOf('sockets', fails('socket/a')), oneOf('sockets', holds('socket/b'))]
    expect((await readyz()).text).toBe('ok\n')
    expect((await readyz('?verbose')).text).toBe(
      '[+]audit ok\n[-]socket/a failed: it is away\n[+]socket/b ok\nreadyz check passed\n',
    )
  })
})
