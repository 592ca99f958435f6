import { expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocument, renderMistake } from './document.ts'
import { httpsOrigin, httpsURL } from './https-url.ts'

const schema = z.strictObject({ url: httpsURL.optional(), origin: httpsOrigin.optional() })

test.each([
  'https://sso.example.com',
  'https://sso.example.com/',
  'https://sso.example.com/realms/Main/',
  'https://127.0.0.1:8443/a%20b',
  'https://[::1]:8443',
])('%s is kept as it is written', (url) => {
  expect(inspectDocument(schema, `url: "${url}"`, 'a').value).toEqual({ url })
})

test.each([
  ['https://Kube.Example.com/', 'https://kube.example.com'],
  ['https://kube.example.com:443', 'https://kube.example.com'],
  ['https://[::1]:8443', 'https://[::1]:8443'],
])('%s has the origin %s', (origin, written) => {
  expect(inspectDocument(schema, `origin: "${origin}"`, 'a').value).toEqual({ origin: written })
})

test.each([
  ['url', 'http://sso.example.com'],
  ['url', 'sso.example.com'],
  ['url', 'https://'],
  ['url', 'https://a b'],
  ['url', 'https://a?b'],
  ['url', 'https://a#b'],
  ['url', 'https://a:99999'],
  ['url', 'https://[::1'],
  ['url', 'https://user:hunter2@a'],
  ['origin', 'https://a/b'],
  ['origin', 'http://a'],
])('%s: %s is refused, once', (key, url) => {
  const lines = inspectDocument(schema, `${key}: "${url}"`, 'a').mistakes.map(renderMistake)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^a:1: (url|origin): .*, expected an https:\/\/ URL/)
  expect(lines[0]).not.toContain('hunter2')
})
