import { expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocument, renderMistake } from './document.ts'
import { listenAddress, parseListenAddress, renderListenAddress } from './listen-address.ts'

test.each([
  ['0.0.0.0:8443', '0.0.0.0', 8443],
  ['127.0.0.1:0', '127.0.0.1', 0],
  [':8443', '', 8443],
  ['localhost:65535', 'localhost', 65_535],
  ['kube-1.example.com:443', 'kube-1.example.com', 443],
  ['[::1]:8443', '::1', 8443],
  ['[::]:8443', '::', 8443],
  ['[::ffff:127.0.0.1]:1', '::ffff:127.0.0.1', 1],
])('%s is an address', (text, host, port) => {
  const address = parseListenAddress(text)
  expect(address).toEqual({ host, port })
  expect(address === null ? null : renderListenAddress(address)).toBe(text)
})

test.each([
  '',
  '8443',
  'localhost',
  'localhost:',
  'localhost:65536',
  'localhost:-1',
  '::1:8443',
  '[::1]',
  '[::g]:1',
  '[127.0.0.1]:1',
  '256.0.0.1:1',
  '1.2.3:1',
  '-a:1',
  'a..b:1',
  'a_b:1',
  'https://a:1',
  'a:1\n',
])('%j is none', (text) => {
  expect(parseListenAddress(text)).toBeNull()
  const schema = z.strictObject({ address: listenAddress })
  const { mistakes } = inspectDocument(schema, `address: ${JSON.stringify(text)}`, 'a')
  expect(mistakes.map(renderMistake)).toHaveLength(1)
  expect(mistakes[0]?.expected).toBe('an address such as 0.0.0.0:8443, [::1]:8443 or :8443')
})
