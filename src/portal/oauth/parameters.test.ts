import { expect, test } from 'vitest'
import { OAuthError } from './oauth-error.ts'
import { queryParameters, required } from './parameters.ts'

test('parameters are read by name, and one without a value is not there', () => {
  expect([...queryParameters('/oauth/a/authorize?a=1&b=&c=%20x')]).toEqual([
    ['a', '1'],
    ['c', ' x'],
  ])
  expect([...queryParameters('/oauth/a/authorize')]).toEqual([])
})

test.for(['a=1&a=2', 'a=&a=1', 'a=1&%61=2', `a=${'1'.repeat(8192)}`])('%# is refused', (query) => {
  expect(() => queryParameters(`/?${query}`)).toThrow(OAuthError)
})

test('a value of another shape is refused without being repeated', () => {
  const parameters = queryParameters('/?state=%0d%0aevil')
  expect(() => required(parameters, 'state', /^\w+$/)).toThrow(
    'invalid_request: state is missing, or none that is taken here',
  )
  expect(() => required(parameters, 'nonce', /^\w+$/)).toThrow('nonce is missing')
})

test('an error holds nothing that the protocol does not allow, and no more than is read', () => {
  const { error, description } = new OAuthError('bad"\n', `a\r\nb"c\\d\u{1F600}é${'x'.repeat(300)}`)
  expect(error).toBe('bad')
  expect(description).toMatch(/^abcdx+$/)
  expect(description).toHaveLength(200)
})
