import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ConnectorProcess, startStagedConnector } from '../support/staged-connector.ts'

// Attack D18.

const LIST = '/sockets/production/api/v1/namespaces/default/pods'
const MEGABYTE = 1_000_000
const LIST_BYTES = 50 * MEGABYTE
const BOUND_BYTES = 30 * MEGABYTE

let connector: ConnectorProcess

beforeAll(async () => {
  connector = await startStagedConnector()
  const chunk = Buffer.alloc(MEGABYTE, 'x')
  connector.apiServer.onRequest = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    let left = LIST_BYTES / MEGABYTE
    const send = (): void => {
      while (left > 0) {
        left -= 1
        if (!response.write(chunk)) {
          response.once('drain', send)
          return
        }
      }
      response.end()
    }
    send()
  }
  for (let i = 0; i < 3; i += 1) expect(await drain(await connector.open(LIST))).toBe(LIST_BYTES)
})
afterAll(async () => {
  await connector.stop()
})

async function drain(response: IncomingMessage): Promise<number> {
  let bytes = 0
  for await (const chunk of response) bytes += (chunk as Buffer).length
  return bytes
}

/** Resident memory of the connector's process, in bytes. */
async function resident(): Promise<number> {
  const status = await readFile(`/proc/${connector.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

/** The most that it grew by while something was done. */
async function growthDuring(act: () => Promise<void>): Promise<number> {
  const before = await resident()
  let most = before
  const samples = setInterval(() => {
    void resident().then((now) => (most = Math.max(most, now)))
  }, 20)
  await act()
  clearInterval(samples)
  return most - before
}

describe('the memory of a connector', () => {
  it('stays flat while a list of 50 MB passes', async () => {
    const growth = await growthDuring(async () => {
      expect(await drain(await connector.open(LIST))).toBe(LIST_BYTES)
    })
    expect(growth).toBeLessThan(BOUND_BYTES)
  })

  it('stays flat while 20 clients read it slowly', async () => {
    const growth = await growthDuring(async () => {
      const responses = await Promise.all(Array.from({ length: 20 }, () => connector.open(LIST)))
      for (let turn = 0; turn < 20; turn += 1) {
        for (const response of responses) response.read(64 * 1024)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      for (const response of responses) response.destroy()
    })
    expect(growth).toBeLessThan(BOUND_BYTES)
  })
})
