import { expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, type Refusal } from '../support/attacked-gateway.ts'

// Attack C12.
//
// Bytes that belong to no body and so to no bound: extensions of chunks (CVE-2024-22019), trailers, empty lines.

const attacked = attackedGateway({ policy: EVERYTHING })

const PODS = `${NAMESPACE}/pods`
const CHUNKED = ['Transfer-Encoding: chunked']

test.each([
  ['an extension of 100 kB', `5;${'a'.repeat(100_000)}\r\nhello\r\n0\r\n\r\n`],
  ['an extension in quotes', `5;a="${'b'.repeat(100_000)}"\r\nhello\r\n0\r\n\r\n`],
  ['a trailer of 100 kB', `0\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`],
  ['trailers by the thousand', `0\r\n${'X: y\r\n'.repeat(100_000)}\r\n`],
])('%s ends the connection', async (_, chunks) => {
  // From here on the token is known, so that the head is passed on before the rest of the request is read.
  await attacked.expectServing()
  attacked.apiServer.onRequest = (request) => {
    request.on('error', () => undefined).resume()
  }
  const { answers, ended } = await attacked.write(attacked.head('POST', PODS, CHUNKED) + chunks)
  expect(answers.filter(({ statusCode }) => statusCode < 400)).toEqual([])
  expect(ended).toBe(true)
  await expect.poll(() => attacked.apiServer.openRequests).toBe(0)
  attacked.forget()
  await attacked.expectServing()
})

test('empty lines before a request are no way round the bound of a head', async () => {
  const TOO_LARGE: Refusal = { code: 431, reason: 'BadRequest' }
  const { answers, ended } = await attacked.write(
    '\r\n'.repeat(50_000) + attacked.head('GET', PODS, [`X: ${'y'.repeat(70_000)}`]),
  )
  expect(ended).toBe(true)
  for (const answer of answers) await attacked.expectRefused(answer, TOO_LARGE)
})
