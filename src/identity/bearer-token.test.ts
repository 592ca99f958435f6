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
    ['a token over the limit', ['Authorization', `Bearer ${'a'.repeat(MAX_TOKEN_LENGTH + 1)}`], 'longer than 16384'],
  ] as const)('is refused for %s', ([, headers, sentence]) => {
    expect(refusalOf(headers)).toContain(sentence)
  })

  test('is never repeated in a refusal', () => {
    const headers = ['Authorization', 'Bearer s3cret', 'Authorization', 'Bearer s3cret']
    expect(refusalOf(headers)).not.toContain('s3cret')
    expect(refusalOf(['Authorization', 's3cret'])).not.toContain('s3cret')
  })
})
