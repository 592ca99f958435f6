import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { beforeEach, expect, test } from 'vitest'
import { attackedGateway, NAMESPACE } from '../support/attacked-gateway.ts'
import { SPDY, switchedHead, upgradeHead } from '../support/attacked-sessions.ts'

// Attack D12.
//
// A right that goes while what was asked for by it is on its way, and a right that is needed beside another: to be
// somebody else.

const policy = (rules: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: developers }
spec: { subjects: { groups: [payments-dev] }, rules: [${rules}] }
---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: bob }
spec: { subjects: { users: [bob@example.com] }, rules: [{ verbs: ["*"], resources: ["*", "*/*"] }] }
`
const EVERYTHING = policy('{ verbs: ["*"], resources: ["*", "*/*"] }, { verbs: [impersonate], resources: [users] }')
const WITHOUT_OTHERS = policy('{ verbs: ["*"], resources: ["*", "*/*"] }')
const NOTHING = policy('{ verbs: [get], resources: [nodes] }')
const AS_BOB = { 'Impersonate-User': 'bob@example.com' }
const WATCH = `${NAMESPACE}/pods?watch=1`
const LOG = `${NAMESPACE}/pods/web/log?follow=true`

const attacked = attackedGateway({ policy: EVERYTHING })

/** Puts a policy in force. */
async function replacePolicy(text: string): Promise<void> {
  const revisions = (): number => attacked.gateway.log.filter((line) => line.includes('policy.replaced')).length
  const before = revisions()
  const path = join(attacked.gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
  await expect.poll(revisions).toBe(before + 1)
}

beforeEach(async () => {
  const path = join(attacked.gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, EVERYTHING)
  await rename(`${path}.new`, path)
  await expect
    .poll(async () => (await attacked.gateway.fetch(`${NAMESPACE}/pods`, { headers: AS_BOB })).statusCode)
    .toBe(200)
})

test.each([
  ['the sender may no longer be that somebody', WITHOUT_OTHERS],
  ['the sender may do nothing any more', NOTHING],
])('what was opened as somebody else ends when %s, and nothing of theirs does', async (_, withdrawn) => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(200).write('{"type":"ADDED"}\n')
  }
  const assumed = await attacked.gateway.open(WATCH, { headers: AS_BOB })
  const bob = await attacked.gateway.issuer.sign({ sub: 'bob', email: 'bob@example.com' })
  const own = await attacked.gateway.open(WATCH, { anonymous: true, headers: { Authorization: `Bearer ${bob}` } })
  const ended = once(assumed.resume(), 'close')
  expect([assumed.statusCode, own.statusCode]).toEqual([200, 200])
  own.resume()
  await replacePolicy(withdrawn)
  await ended
  expect(own.closed).toBe(false)
  own.destroy()
})

test.each([
  ['a watch', WATCH],
  ['a log', LOG],
])('%s whose answer came under another revision than its request ends at once', async (_, target) => {
  const asked = Promise.withResolvers<ServerResponse>()
  attacked.apiServer.onRequest = (_request, response) => {
    asked.resolve(response)
  }
  const opening = attacked.gateway.open(target)
  const response = await asked.promise
  await replacePolicy(NOTHING)
  response.writeHead(200).write('{"type":"ADDED"}\n')
  const answer: IncomingMessage = await opening
  expect(answer.statusCode).toBe(200)
  await new Promise((resolve) =>
    answer
      .resume()
      .on('error', () => undefined)
      .once('close', resolve),
  )
})

test('one that the new revision allows too goes on', async () => {
  const asked = Promise.withResolvers<ServerResponse>()
  attacked.apiServer.onRequest = (_request, response) => {
    asked.resolve(response)
  }
  const opening = attacked.gateway.open(WATCH)
  const response = await asked.promise
  await replacePolicy(WITHOUT_OTHERS)
  response.writeHead(200).write('{"type":"ADDED"}\n')
  const answer = await opening
  await once(answer, 'data')
  response.write('{"type":"DELETED"}\n')
  await once(answer, 'data')
  answer.destroy()
})

test('a session that the API server agreed to under another revision ends at once, and nothing typed is passed', async () => {
  const dialled = Promise.withResolvers<Duplex>()
  attacked.apiServer.onUpgrade = (_request, socket) => {
    dialled.resolve(socket)
  }
  const client = await attacked.connect()
  client.write(upgradeHead(attacked, { ...SPDY, target: `${NAMESPACE}/pods/web/exec?command=sh&stdin=true` }), 'latin1')
  const upstream = await dialled.promise
  let passed = 0
  upstream.on('data', (chunk: Buffer) => (passed += chunk.length)).on('error', () => undefined)
  await replacePolicy(NOTHING)
  const closed = once(client.resume(), 'close')
  upstream.write(switchedHead(SPDY), 'latin1')
  await closed
  expect(passed).toBe(0)
})

test('what a policy allows until a moment ends at that moment, and what another allows too goes on', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(200).write('{"type":"ADDED"}\n')
  }
  const endsAtMs = Date.now() + 3_000
  await replacePolicy(
    EVERYTHING.replace('rules: [', `conditions: { notAfter: ${new Date(endsAtMs).toISOString()} }, rules: [`).concat(
      `---\n${NOTHING.replaceAll('name: ', 'name: also-').replace('nodes', 'pods/log')}`,
    ),
  )
  const [watch, log] = await Promise.all([attacked.gateway.open(WATCH), attacked.gateway.open(LOG)])
  expect([watch.statusCode, log.statusCode]).toEqual([200, 200])
  log.resume().on('error', () => undefined)
  await once(watch.resume(), 'close')
  expect(Date.now()).toBeGreaterThanOrEqual(endsAtMs)
  expect([watch.complete, log.closed]).toEqual([true, false])
  log.destroy()
})
