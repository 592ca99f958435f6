import { describe, expect, test } from 'vitest'
import { attackedGateway, FORBIDDEN, NAMESPACE, SOCKET } from '../support/attacked-gateway.ts'

// Attack C5.
//
// A refusal that comes before the body was read: whoever goes on with the connection takes the body for a request.

const attacked = attackedGateway()

const DENIED = `${SOCKET}/api/v1/secrets`
const SMUGGLED = `GET ${NAMESPACE}/pods HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('after a refusal the connection ends', () => {
  test.each([
    ['with the body in one piece with the head', 'Content-Length: 40', SMUGGLED.slice(0, 40)],
    ['with chunks', 'Transfer-Encoding: chunked', `28\r\n${SMUGGLED.slice(0, 40)}\r\n0\r\n\r\n`],
    ['with a body that stays out', 'Content-Length: 40', ''],
    ['with a body that is shorter', 'Content-Length: 4000', SMUGGLED],
    ['with a body of 8 MB', 'Content-Length: 8000000', 'x'.repeat(8_000_000)],
  ])('%s', async (_, framing, body) => {
    const start = performance.now()
    const answer = await attacked.writeOnce(attacked.head('POST', DENIED, [framing]) + body)
    expect(answer.headers['connection']).toBe('close')
    await attacked.expectRefused(answer, FORBIDDEN)
    expect(performance.now() - start).toBeLessThan(5_000)
  })
})

test('100 Continue is not said to what is refused', async () => {
  const answer = await attacked.writeOnce(attacked.head('POST', DENIED, ['Content-Length: 5', 'Expect: 100-continue']))
  await attacked.expectRefused(answer, FORBIDDEN)
})

test('an answer that the API server gives before the body has come ends the connection, too', async () => {
  attacked.apiServer.onRequest = (_request, response) => {
    response.writeHead(413, { 'Content-Length': 2 }).end('{}')
  }
  const { answers, ended } = await attacked.write(
    attacked.head('POST', `${NAMESPACE}/pods`, ['Content-Length: 400']) + SMUGGLED,
  )
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([413])
  expect(ended).toBe(true)
  expect(attacked.seen.map(({ method }) => method)).toEqual(['POST'])
  attacked.forget()
  await attacked.expectServing()
})
