import { expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { onRequestHead, startScriptedServer } from '../support/scripted-server.ts'
import { answerOf, openUpstream } from '../support/upstream-requests.ts'

const authority = createCertificateAuthority()

test('an upstream that retires closes what is idle at once, and the rest when it is over', async () => {
  let finish = (): unknown => undefined
  const server = await startScriptedServer(authority.issueServer(), (socket) => {
    onRequestHead(socket, (head) => {
      const later = head.startsWith('GET /later')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${later ? 4 : 2}\r\n\r\nok`)
      if (later) finish = () => socket.write('ay')
    })
  })
  const upstream = await openUpstream({ server: server.url, certificateAuthority: { value: authority.certificate } })
  const underWay = answerOf(upstream, { target: '/later' })
  await answerOf(upstream)
  expect(upstream.openConnections).toBe(2)
  upstream.retire()
  await expect.poll(() => upstream.openConnections).toBe(1)
  finish()
  expect((await underWay).body.toString()).toBe('okay')
  await expect.poll(() => upstream.openConnections).toBe(0)
})
