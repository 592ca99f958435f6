import { describe, expect, test } from 'vitest'
import { explainIssuerError, type OAuthError } from './issuer-error.ts'

const SECRET = 'refresh-token-of-ana'

function explain(
  oauth: Partial<OAuthError> | null,
  secrets: readonly string[],
  error: unknown = new Error('no'),
): string {
  const asked = { url: 'https://sso.example.com', clientID: 'postern', secrets }
  const { message } = explainIssuerError(
    asked,
    error,
    oauth === null ? null : { status: 400, error: 'invalid_grant', description: '', ...oauth },
  )
  return message
}

describe('what an issuer repeats of a request is not said again:', () => {
  test.for([
    ['in the description', { description: `"${SECRET}" is unknown, yes ${SECRET}` }],
    ['in the error', { error: SECRET }],
    ['at the end of what is read of a description', { description: `${'x'.repeat(190)}${SECRET}` }],
    ['of a login that the browser brought', { status: 0, description: SECRET }],
  ] as const)('%s', ([, oauth]) => {
    const message = explain(oauth, ['another-secret', SECRET])
    expect(message).toContain('[red')
    expect(message).not.toContain('refresh-to')
  })

  test('in what the library says', () => {
    const error = new Error('outer', { cause: new Error(`unexpected value ${SECRET}`) })
    expect(explain(null, [SECRET], error)).toContain('(unexpected value [redacted])')
  })
})

test('what is too short to be a secret stays, since it may stand in any word', () => {
  expect(explain({ description: 'code was used' }, ['', 'c'])).toContain('invalid_grant (code was used)')
})
