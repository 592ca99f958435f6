import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  MAX_MESSAGE_BYTES,
  badGateway,
  badRequest,
  failure,
  internalError,
  methodNotAllowed,
  notFound,
  renderStatus,
  serviceUnavailable,
  timeout,
  tooLarge,
  tooManyRequests,
  unauthorized,
} from './status.ts'

describe('a refusal', () => {
  test.each([
    [badRequest('m'), 400, 'BadRequest', 'm', undefined],
    [unauthorized('m'), 401, 'Unauthorized', 'm', undefined],
    [notFound('', 'pods', 'web', {}), 404, 'NotFound', 'pods "web" not found', { name: 'web', kind: 'pods' }],
    [
      notFound('postern.dev', 'sockets', 'x'),
      404,
      'NotFound',
      'sockets.postern.dev "x" not found',
      { name: 'x', group: 'postern.dev', kind: 'sockets' },
    ],
    [methodNotAllowed('m'), 405, 'MethodNotAllowed', 'm', undefined],
    [tooLarge('limit is 1'), 413, 'RequestEntityTooLarge', 'Request entity too large: limit is 1', undefined],
    [tooManyRequests('m', 3), 429, 'TooManyRequests', 'm', { retryAfterSeconds: 3 }],
    [internalError('m'), 500, 'InternalError', 'Internal error occurred: m', { causes: [{ message: 'm' }] }],
    [badGateway('m'), 502, 'BadGateway', 'm', undefined],
    [serviceUnavailable('m'), 503, 'ServiceUnavailable', 'm', undefined],
    [timeout('m'), 504, 'Timeout', 'Timeout: m', undefined],
  ])('%s', (error, code, reason, message, details) => {
    expect(error.status).toStrictEqual(failure(code, error.status.reason, message, details))
    expect(error.status.reason).toBe(reason)
    expect(error.message).toBe(message)
  })

  test('keeps what is for the operator out of what is for the client', () => {
    const error = badGateway('the API server cannot be reached', { detail: '10.0.0.1:6443', cause: new Error('x') })
    expect(renderStatus(error.status).toString()).not.toMatch(/10\.0\.0\.1|Error/)
    expect(error).toMatchObject({ detail: '10.0.0.1:6443', cause: { message: 'x' } })
  })
})

test('a status is rendered as Kubernetes sends it', () => {
  expect(renderStatus(failure(403, 'Forbidden', 'no')).toString()).toBe(
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","reason":"Forbidden","code":403}\n',
  )
})

describe('a message', () => {
  test('is one line without control characters', () => {
    expect(failure(400, 'BadRequest', 'a\r\nb\x1b[31m\u2028\u202e\ud800').message).toBe(
      'a\\r\\nb\\x1b[31m\\u2028\\u202e\\ud800',
    )
  })

  test('leaves out no character that people write', () => {
    expect(failure(400, 'BadRequest', 'müssen "so" <bleiben> – 日本 😀').message).toBe(
      'müssen "so" <bleiben> – 日本 😀',
    )
  })

  test('is marked where it is cut', () => {
    expect(failure(400, 'BadRequest', 'x'.repeat(MAX_MESSAGE_BYTES)).message).toBe('x'.repeat(MAX_MESSAGE_BYTES))
    expect(failure(400, 'BadRequest', 'x'.repeat(MAX_MESSAGE_BYTES + 1)).message).toMatch(/^x{1021}…$/)
  })

  test('is cut between characters', () => {
    const { message } = failure(400, 'BadRequest', 'é'.repeat(MAX_MESSAGE_BYTES))
    expect(message).toMatch(/^é+…$/)
    expect(Buffer.byteLength(message)).toBeGreaterThan(MAX_MESSAGE_BYTES - 4)
  })

  test('is within its bounds whatever it is made of', () => {
    const texts = fc
      .tuple(fc.array(fc.nat(0xffff), { maxLength: 12 }), fc.nat(300))
      .map(([units, times]) => String.fromCharCode(...units).repeat(times))
    fc.assert(
      fc.property(texts, (text) => {
        const { message } = failure(400, 'BadRequest', text)
        expect(Buffer.byteLength(message)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES)
        expect(message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})
