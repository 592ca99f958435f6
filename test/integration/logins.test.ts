import { once } from 'node:events'
import { chmod, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type App, createApp } from '../../src/app.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import { askPortal } from '../support/portal-requests.ts'
import { createOpener, type StagedSurroundings, stageSurroundings } from '../support/staged-gateway.ts'

const PODS = '/sockets/production/api/v1/namespaces/default/pods'
const LOGINS = '/apis/postern.dev/v1alpha1/logins'

let surroundings: StagedSurroundings
let app: App | null
let opener: ReturnType<typeof createOpener>
let log: string[]
let file: string

beforeEach(async () => {
  app = null
  log = []
  surroundings = await stageSurroundings({
    adjust: (document) => ({ ...document, stateDirectory: 'state', limits: { drainTimeout: '0s' } }),
  })
  file = join(surroundings.directory, 'state', 'logins.sqlite')
  opener = createOpener(surroundings)
})
afterEach(async () => {
  opener.agent.destroy()
  await app?.stop()
  await surroundings.stop()
})

async function start(): Promise<void> {
  const config = await loadConnectorConfig(surroundings.document)
  app = await createApp(config, { log: pino({ base: null }, { write: (line) => log.push(line) }) })
  await app.start()
}

async function stop(): Promise<void> {
  opener.agent.destroy()
  await app?.stop()
  app = null
}

const tokenOf = (sid: string): Promise<string> => surroundings.issuer.sign({ sub: 'ana', sid })
const bearerOf = (token: string) => ({ anonymous: true, headers: { Authorization: `Bearer ${token}` } })
async function statusOf(token: string): Promise<number> {
  const answer = await opener.open(PODS, bearerOf(token))
  answer.resume()
  await once(answer, 'close')
  return answer.statusCode ?? 0
}
const ask = (token: string, method: string, path: string) => askPortal(surroundings, token, method, LOGINS + path)

describe('a restart', () => {
  test('keeps a revocation, and who is signed in with where from', async () => {
    await start()
    const [stolen, other] = [await tokenOf('stolen'), await tokenOf('other')]
    expect([await statusOf(stolen), await statusOf(other)]).toEqual([200, 200])
    const before = (await ask(other, 'GET', '/current')).body
    expect((await ask(stolen, 'DELETE', '/current?reason=stolen')).statusCode).toBe(200)
    await stop()
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await start()
    expect([await statusOf(stolen), await statusOf(await tokenOf('stolen')), await statusOf(other)]).toEqual([
      401, 401, 200,
    ])
    const unchanging = (body: string) => {
      const { metadata, spec } = JSON.parse(body) as { metadata: unknown; spec: unknown }
      return { metadata, spec }
    }
    expect(unchanging((await ask(other, 'GET', '/current')).body)).toEqual(unchanging(before))
    const { items } = JSON.parse((await ask(other, 'GET', '')).body) as { items: { status: { state: string } }[] }
    expect(items.map(({ status }) => status.state).toSorted()).toEqual(['active', 'revoked'])
    expect(await readFile(file, 'latin1')).not.toContain(stolen)
  })

  test('keeps a revocation that was answered, though the connector was killed right after', async () => {
    await start()
    const stolen = await tokenOf('stolen')
    expect((await ask(stolen, 'DELETE', '/current')).statusCode).toBe(200)
    const copies = await Promise.all([file, `${file}-wal`].map((path) => readFile(path)))
    await stop()
    for (const [index, bytes] of copies.entries()) await writeFile(index === 0 ? file : `${file}-wal`, bytes)
    await start()
    expect(await statusOf(stolen)).toBe(401)
  })
})

describe('a connector does not start, and listens nowhere,', () => {
  const refusal = async (): Promise<string> => {
    try {
      await start()
      return ''
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  const prepared = async (): Promise<void> => {
    await start()
    await statusOf(await tokenOf('one'))
    await stop()
  }

  test.for([
    ['whose logins are other bytes', () => writeFile(file, 'x'.repeat(9000))],
    ['whose logins are cut off', () => truncate(file, 3000)],
  ] as const)('%s', async ([, damage]) => {
    await prepared()
    await damage()
    expect(await refusal()).toMatch(/logins\.sqlite cannot be used: .*nobody knows which logins were revoked/)
    await expect(ask('', 'GET', '')).rejects.toThrow('ECONNREFUSED')
  })

  test.skipIf(process.getuid?.() === 0)('that may not read its logins', async () => {
    await prepared()
    await chmod(join(surroundings.directory, 'state'), 0)
    const message = await refusal()
    await chmod(join(surroundings.directory, 'state'), 0o700)
    expect(message).toContain('EACCES')
  })
})

test('an open watch and a followed log end within 2 s of a revocation, and the next request is refused', async () => {
  await start()
  surroundings.apiServer.onRequest = (_request, response) => {
    response.writeHead(200).write('{"type":"ADDED"}\n')
  }
  const token = await tokenOf('stolen')
  const answers: IncomingMessage[] = []
  for (const path of [`${PODS}?watch=true`, `${PODS}/web/log?follow=true`]) {
    answers.push(await opener.open(path, bearerOf(token)))
  }
  const ended = answers.map(async (answer) => {
    answer.resume().on('error', () => undefined)
    await once(answer, 'close').catch(() => undefined)
    return Date.now()
  })
  const other = await tokenOf('other')
  const { items } = JSON.parse((await ask(other, 'GET', '')).body) as {
    items: { metadata: { name: string }; status: { current: boolean } }[]
  }
  const stolen = items.find(({ status }) => !status.current)?.metadata.name ?? ''
  const revokedAtMs = Date.now()
  expect((await ask(other, 'DELETE', `/${stolen}`)).statusCode).toBe(200)
  for (const atMs of await Promise.all(ended)) expect(atMs - revokedAtMs).toBeLessThan(2_000)
  // A watch ends cleanly, so that its client asks again; a log is cut off.
  expect(answers.map(({ complete }) => complete)).toEqual([true, false])
  expect(await statusOf(token)).toBe(401)
})

test('a connector without a directory for it says that a restart forgets revocations', async () => {
  const document = await readFile(surroundings.document, 'utf8')
  await writeFile(surroundings.document, document.replace('stateDirectory: state\n', ''))
  await start()
  expect(log.join('')).toContain('logins.unkept')
  const token = await tokenOf('stolen')
  expect((await ask(token, 'DELETE', '/current')).statusCode).toBe(200)
  expect(await statusOf(token)).toBe(401)
})
