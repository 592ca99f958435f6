import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { STAGED_POLICY, type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

// Attacks D12, H1.

const PODS = '/sockets/production/api/v1/namespaces/default/pods'
const NOTHING = STAGED_POLICY.replaceAll('payments-dev', 'nobody')
const END_WITHIN_MS = 2_000

let gateway: StagedGateway

beforeEach(async () => {
  gateway = await startStagedGateway()
})
afterEach(async () => {
  await gateway.stop()
})

/** As an editor or a deployment does: a new file in the old one's place. */
async function replacePolicy(text: string): Promise<void> {
  const path = join(gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

async function readyz(): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/readyz?verbose`)
  return { status: response.status, text: await response.text() }
}

async function statusOfPods(): Promise<number> {
  return (await gateway.fetch(PODS)).statusCode
}

describe('a policy that changes', () => {
  it('decides the next request, and ends the watches and sessions that it no longer allows', async () => {
    gateway.apiServer.onRequest = (request, response) => {
      response.writeHead(200).flushHeaders()
      if (request.url?.includes('watch') !== true) response.end()
    }
    const watch = await gateway.open(`${PODS}?watch=1`)
    const client = await gateway.raw()
    gateway.apiServer.onUpgrade = (_request, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
      )
    }
    client.write(
      `POST ${PODS}/web/exec?command=sh HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.token}\r\n` +
        'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    )
    expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 101 /)
    const ended = Promise.all([once(watch.resume(), 'end'), once(client.resume(), 'close')])
    await replacePolicy(NOTHING)
    const changedAt = performance.now()
    await ended
    expect(performance.now() - changedAt).toBeLessThan(END_WITHIN_MS)
    expect(watch.complete).toBe(true)
    expect(await statusOfPods()).toBe(403)
    expect(gateway.log.join('')).toContain('policy.replaced')
  })

  it('leaves the streams alone that it still allows', async () => {
    gateway.apiServer.onRequest = (_request, response) => {
      response.writeHead(200).flushHeaders()
    }
    const watch = await gateway.open(`${PODS}?watch=1`)
    let ended = false
    watch.resume().once('end', () => (ended = true))
    await replacePolicy(STAGED_POLICY.replace('services/proxy', 'services/status'))
    await expect.poll(() => gateway.log.join('')).toContain('policy.replaced')
    expect(ended).toBe(false)
    watch.destroy()
  })

  it('stays what it was while a file is wrong, and says so', async () => {
    await replacePolicy('kind: Policy\nspec: 1\n')
    await expect.poll(async () => (await readyz()).text).toMatch(/\[\+\]policy ok, but .*policy\.yaml:/)
    expect((await readyz()).status).toBe(200)
    expect(await statusOfPods()).toBe(200)
    await replacePolicy(NOTHING)
    await expect.poll(statusOfPods).toBe(403)
    expect((await readyz()).text).toContain('[+]policy ok\n')
  })

  it('stays what it was when its files are gone, for they may have denied something', async () => {
    const path = join(gateway.directory, 'policy.yaml')
    await rename(path, `${path}.gone`)
    await expect.poll(async () => (await readyz()).text).toMatch(/policy ok, but .*matches no file/)
    expect(await statusOfPods()).toBe(200)
  })
})
