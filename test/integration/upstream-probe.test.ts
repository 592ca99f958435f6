import { describe, expect, test } from 'vitest'
import type { UpstreamClient } from '../../src/upstream/upstream-client.ts'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, startScriptedServer } from '../support/scripted-server.ts'
import { openUpstream } from '../support/upstream-requests.ts'

const authority = createCertificateAuthority()
const certificate = authority.issueServer()
const NEVER = new AbortController().signal

/** An API server that answers these paths with these codes; 0 is no answer. */
async function apiServer(answers: Readonly<Record<string, number>>): Promise<UpstreamClient> {
  const server = await startScriptedServer(certificate, (socket) => {
    onRequestHead(socket, (head) => {
      const statusCode = answers[head.split(' ')[1] ?? ''] ?? 404
      if (statusCode !== 0) socket.write(`HTTP/1.1 ${statusCode} X\r\nContent-Length: 2\r\n\r\nok`)
    })
  })
  return openUpstream({ server: server.url, certificateAuthority: { value: authority.certificate } })
}

describe('a probe', () => {
  test.each([
    ['is ready', { '/readyz': 200 }],
    ['keeps /readyz to itself but tells its version', { '/readyz': 403, '/version': 200 }],
    ['has no /readyz but tells its version', { '/version': 200 }],
  ])('finds an API server that %s well', async (_what, answers) => {
    const upstream = await apiServer(answers)
    await expect(upstream.probe(NEVER)).resolves.toBeUndefined()
    expect(upstream.openConnections).toBe(1)
  })

  test.each([
    ['is not ready', { '/readyz': 500, '/version': 200 }, 'the API server of this socket is not ready', '500'],
    [
      'does not know us',
      { '/readyz': 401, '/version': 200 },
      'the API server of this socket does not accept the credential of the connector',
      '401',
    ],
    [
      'refuses us everything',
      { '/readyz': 403, '/version': 403 },
      'the credential of the connector has no rights at all',
      '403',
    ],
    ['redirects', { '/readyz': 302 }, 'the API server of this socket is not ready', '302'],
  ])('finds one that %s unwell', async (_what, answers, message, code) => {
    const upstream = await apiServer(answers)
    const probe = upstream.probe(NEVER)
    await expect(probe).rejects.toMatchObject({ status: { code: 503, message } })
    await expect(probe).rejects.toHaveProperty(
      'detail',
      expect.stringMatching(`^API server 127.0.0.1:\\d+: .*${code}$`),
    )
  })

  test('ends with its signal, and leaves no connection', async () => {
    const upstream = await apiServer({ '/readyz': 0 })
    const aborter = new AbortController()
    const probe = upstream.probe(aborter.signal)
    await expect.poll(() => upstream.openConnections).toBe(1)
    const reason = new Error('stopping')
    aborter.abort(reason)
    await expect(probe).rejects.toBe(reason)
    await expect.poll(() => upstream.openConnections).toBe(0)
    await expect(upstream.probe(aborter.signal)).rejects.toBe(reason)
  })
})
