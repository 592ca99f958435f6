import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { attackedGateway, NAMESPACE, SOCKET } from '../support/attacked-gateway.ts'
import { exchange } from '../support/raw-exchange.ts'

// Attack C4.
//
// What is sent behind a request is not to be served when the connection ends with that request's answer, and must not
// be answered in its place (the class of CVE-2018-1002105).

const attacked = attackedGateway()

const PODS = `${NAMESPACE}/pods`
const DENIED = `${SOCKET}/api/v1/secrets`
const get = (target: string): string => attacked.head('GET', target)
const targets = (): string[] => attacked.seen.map(({ target }) => target.slice('/api/v1/namespaces/default/'.length))

describe('behind a refusal that ends the connection', () => {
  test.each([
    ['a body that is not read', () => attacked.head('POST', DENIED, ['Content-Length: 5']) + 'hello'],
    ['a body that is refused', () => attacked.head('GET', PODS, ['Content-Length: 5']) + 'hello'],
    ['chunks', () => attacked.head('POST', DENIED, ['Transfer-Encoding: chunked']) + '5\r\nhello\r\n0\r\n\r\n'],
    ['no sound head', () => 'GET / HTTP/9.9\r\n\r\n'],
    ['a wish to close', () => attacked.head('GET', DENIED, ['Connection: close'])],
    ['an upgrade', () => attacked.head('GET', PODS, ['Connection: Upgrade', 'Upgrade: websocket'])],
  ])('with %s no request is served', async (_, first) => {
    const { answers, ended } = await attacked.write(first() + get(`${PODS}/behind`))
    expect(answers).toHaveLength(1)
    expect(ended).toBe(true)
    expect(attacked.seen).toEqual([])
    await attacked.expectServing()
  })
})

describe('requests in one piece', () => {
  test('are served one after the other, each with its own answer', async () => {
    attacked.apiServer.onRequest = (request, response) => {
      response.end(request.url?.split('/').at(-1))
    }
    const { answers } = await attacked.write(get(`${PODS}/a`) + get(`${PODS}/b`), { answers: 2 })
    expect(answers.map(({ body }) => body)).toEqual(['a', 'b'])
    expect(targets()).toEqual(['pods/a', 'pods/b'])
  })

  test('a refusal that keeps the connection keeps its place', async () => {
    const { answers } = await attacked.write(get(DENIED) + get(`${PODS}/b`), { answers: 2 })
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([403, 200])
  })

  test('more than two end the connection', async () => {
    attacked.apiServer.onRequest = () => undefined
    const { answers, ended } = await attacked.write(get(`${PODS}/a`).repeat(1_000))
    expect({ answers, ended }).toEqual({ answers: [], ended: true })
    expect(targets().length).toBeLessThanOrEqual(1)
  })
})

describe('behind a request under way', () => {
  async function underWay(behind: string): Promise<{ connection: TLSSocket; answer: ServerResponse }> {
    const asked = new Promise<ServerResponse>((resolve) => {
      attacked.apiServer.onRequest = (_request, response) => {
        resolve(response)
      }
    })
    const connection = await attacked.connect()
    connection.write(get(`${PODS}/slow`))
    const answer = await asked
    connection.write(behind)
    return { connection, answer }
  }

  test('a request waits', async () => {
    const { connection, answer } = await underWay(get(`${PODS}/next`))
    const other = attacked.gateway.open(`${PODS}/other`)
    await expect.poll(targets).toEqual(['pods/slow', 'pods/other'])
    attacked.apiServer.onRequest = (request, response) => {
      response.end(request.url?.split('/').at(-1))
    }
    answer.end('slow')
    const { answers } = await exchange(connection, '', { answers: 2 })
    expect(answers.map(({ body }) => body)).toEqual(['slow', 'next'])
    other.catch(() => undefined)
  })

  test.each([
    ['bytes that are no request', () => 'garbage\r\n\r\n'],
    ['an upgrade', () => attacked.head('GET', `${PODS}/web/exec`, ['Connection: Upgrade', 'Upgrade: websocket'])],
    ['a CONNECT', () => attacked.head('CONNECT', 'evil.example:443')],
  ])('%s end the connection, and are not answered in its place', async (_, behind) => {
    const { connection } = await underWay(behind())
    const [bytes] = await Promise.all([connection.toArray(), once(connection, 'close')])
    expect(Buffer.concat(bytes as Buffer[]).toString()).toBe('')
    expect(targets()).toEqual(['pods/slow'])
  })

  test('bytes that are no request end an answer that has begun', async () => {
    const { connection, answer } = await underWay('')
    answer.writeHead(200).write('half')
    await once(connection, 'data')
    connection.write('garbage\r\n\r\n')
    const { answers } = await exchange(connection, '')
    expect(answers).toEqual([])
  })
})

test('an empty line before a request is no request', async () => {
  const { answers } = await attacked.write(`\r\n\r\n${get(PODS)}`, { answers: 1 })
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200])
})

test('a request that comes in single bytes is one request', async () => {
  const connection = await attacked.connect()
  const head = get(PODS)
  for (const byte of head.slice(0, -1)) connection.write(byte)
  const { answers } = await exchange(connection, head.slice(-1), { answers: 1 })
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200])
  expect(attacked.seen).toHaveLength(1)
})
