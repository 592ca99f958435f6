import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

const WATCH = '/sockets/production/api/v1/namespaces/default/pods?watch=true'

let gateway: StagedGateway
const watches = new Set<ServerResponse>()

beforeAll(async () => {
  gateway = await startStagedGateway()
  gateway.apiServer.onRequest = (_request, response) => {
    watches.add(response)
    response.once('close', () => watches.delete(response))
    response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
  }
})
afterAll(async () => {
  await gateway.stop()
})
beforeEach(() => {
  expect(watches.size).toBe(0)
})

describe('a watch', () => {
  it('gets its head before its first event, and each event as it comes', async () => {
    const response = await gateway.open(WATCH)
    expect(response.statusCode).toBe(200)
    for (const event of ['{"type":"ADDED"}\n', '{"type":"BOOKMARK"}\n']) {
      for (const watch of watches) watch.write(event)
      const [chunk] = (await once(response, 'data')) as [Buffer]
      expect(chunk.toString()).toBe(event)
    }
    response.destroy()
    await expect.poll(() => watches.size).toBe(0)
  })

  it('gets its head before its first event over HTTP/2 too', async () => {
    const session = gateway.http2()
    const stream = session.request({ ':path': WATCH, authorization: `Bearer ${gateway.token}` })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(200)
    session.destroy()
    await expect.poll(() => watches.size).toBe(0)
  })

  it('that its API server ends cleanly ends cleanly', async () => {
    const response = await gateway.open(WATCH)
    for (const watch of watches) watch.end()
    await once(response.resume(), 'end')
    expect(response.complete).toBe(true)
  })

  it('leaves an event when it begins and one when it ends', async () => {
    const response = await gateway.open(WATCH)
    const auditId = response.headers['audit-id']
    const stages = async () =>
      (await gateway.events()).filter(({ auditID }) => auditID === auditId).map(({ stage }) => stage)
    await expect.poll(stages).toEqual(['ResponseStarted'])
    response.destroy()
    await expect.poll(stages).toEqual(['ResponseStarted', 'ResponseComplete'])
  })

  it('is one of a thousand, over HTTP/2, and none is left when their clients are gone', async () => {
    const sessions = Array.from({ length: 10 }, () => gateway.http2())
    const opened = sessions.flatMap((session) =>
      Array.from({ length: 100 }, async () => {
        const stream = session.request({ ':path': WATCH, authorization: `Bearer ${gateway.token}` })
        stream.on('error', () => undefined)
        const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
        return headers[':status']
      }),
    )
    expect(new Set(await Promise.all(opened))).toEqual(new Set([200]))
    expect(watches.size).toBe(1_000)
    for (const session of sessions) session.destroy()
    await expect.poll(() => watches.size).toBe(0)
  }, 60_000)
})
