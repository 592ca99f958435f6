import { expect, test } from 'vitest'
import { browserCookie, browserDigest, browserValue, newBrowserValue } from './browser-binding.ts'

const value = 'v'.repeat(43)

test('a browser that took the cookie shows its value', () => {
  const fresh = newBrowserValue()
  const [pair = ''] = browserCookie(fresh).split('; ')
  expect(browserValue(pair)).toBe(fresh)
  expect(browserValue(`theme=dark; ${pair}; other=1`)).toBe(fresh)
  expect(newBrowserValue()).not.toBe(fresh)
  expect(browserDigest(fresh)).not.toContain(fresh)
})

test('no other host, no script and no request of another site gets it', () => {
  const [pair, ...attributes] = browserCookie(value).split('; ')
  expect(pair).toMatch(/^__Host-/)
  expect(attributes).toEqual(['Path=/', 'Max-Age=1200', 'Secure', 'HttpOnly', 'SameSite=Lax'])
})

test.for([
  undefined,
  '',
  'other=1',
  `postern-login=${value}`,
  `__host-postern-login=${value}`,
  `__Host-postern-login=${value}x`,
  '__Host-postern-login=',
  `__Host-postern-login="${value}"`,
  `__Host-postern-login=${value}; __Host-postern-login=${'w'.repeat(43)}`,
])('%j shows none', (header) => {
  expect(browserValue(header)).toBeUndefined()
})
