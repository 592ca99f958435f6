import { describe, expect, test } from 'vitest'
import { bearerToken, MAX_TOKEN_LENGTH } from './bearer-token.ts'

const NOT_SIGNED_IN = /^(.+); sign in with "postern client login"$/

function refusalOf(headers: readonly string[]): string {
  try {
    bearerToken(headers)
  } catch (error) {
    expect(error).toMatchObject({ status: { code: 401, reason: 'Unauthorized' } })
    return NOT_SIGNED_IN.exec((error as Error).message)?.[1] ?? ''
  }
  return 'accepted'
}

describe('the token of a request', () => {
  test.for([
    ['as kubectl sends it', ['Host', 'x', 'Authorization', 'Bearer a.b.c', 'Accept', '*/*']],
    ['as HTTP/2 sends it', [':method', 'GET', 'authorization', 'Bearer a.b.c']],
    ['with another spelling of the scheme', ['AUTHORIZATION', 'bEARER   a.b.c']],
    ['beside ordinary subprotocols', ['Authorization', 'Bearer a.b.c', 'Sec-WebSocket-Protocol', 'v5.channel.k8s.io']],
  ] as const)('is found %s', ([, headers]) => {
    expect(bearerToken(headers)).toBe('a.b.c')
  })

  const subprotocol = 'v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.YS5iLmM'
  test.for([
    ['no credential', ['Host', 'x'], 'the request has no credential'],
    ['nothing at all', [], 'the request has no credential'],
    ['two lines', ['Authorization', 'Bearer a', 'authorization', 'Bearer a'], 'more than one Authorization header'],
    ['a second line that is empty', ['Authorization', 'Bearer a', 'Authorization', ''], 'more than one Authorization'],
    ['a password', ['Authorization', 'Basic YW5hOmFuYQ=='], 'not of the form "Bearer TOKEN"'],
    ['a token without scheme', ['Authorization', 'a.b.c'], 'not of the form "Bearer TOKEN"'],
    ['a scheme without token', ['Authorization', 'Bearer'], 'not of the form "Bearer TOKEN"'],
    ['spaces for a token', ['Authorization', 'Bearer   '], 'empty token'],
    [
      'a token in the subprotocol',
      ['Sec-WebSocket-Protocol', subprotocol],
      'in the WebSocket subprotocol is not accepted',
    ],
    [
      'a token in each place',
      [
        'Sec-WebSocket-Protocol',
        'v4.channel.k8s.io',
        'Authorization',
        'Bearer a',
        'sec-websocket-protocol',
        subprotocol,
      ],
      'another in the WebSocket subprotocol',
    ],
  ] as const)('is refused for %s', ([, headers, sentence]) => {
    expect(refusalOf(headers)).toContain(sentence)
  })

  test('is as long as it may be, and no longer', () => {
    const bearer = (length: number): readonly string[] => ['Authorization', `Bearer ${'a'.repeat(length)}`]
    expect(bearerToken(bearer(MAX_TOKEN_LENGTH))).toHaveLength(61_440)
    expect(() => bearerToken(bearer(MAX_TOKEN_LENGTH + 1))).toThrow(/^the token is longer than 61440 characters, as/)
    expect(bearerToken(bearer(100_000), 100_000)).toHaveLength(100_000)
    expect(() => bearerToken(bearer(5), 4)).toThrow(/^the token is longer than 4 characters, as/)
  })

  test('is never repeated in a refusal', () => {
    const headers = ['Authorization', 'Bearer s3cret', 'Authorization', 'Bearer s3cret']
    expect(refusalOf(headers)).not.toContain('s3cret')
    expect(refusalOf(['Authorization', 's3cret'])).not.toContain('s3cret')
  })
})
