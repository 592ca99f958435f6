import { expect, test } from 'vitest'
import { isLoopbackRedirect } from './loopback-redirect.ts'

test.for([
  'http://127.0.0.1:49152/',
  'http://127.0.0.1:1/callback',
  'http://127.0.0.1:65535/qb80zgbaY4SkbiEWsvCq53fhSC6QaEyuAXyx_jxDA88',
  'http://[::1]:8000/a/b.c~d',
])('%s is on the machine of the person', (uri) => {
  expect(isLoopbackRedirect(uri)).toBe(true)
})

test.for([
  '',
  'https://127.0.0.1:8000/',
  'http://localhost:8000/',
  'http://127.0.0.1/',
  'http://127.0.0.1:8000',
  'http://127.0.0.1:0/',
  'http://127.0.0.1:80/',
  'http://127.0.0.1:08000/',
  'http://127.0.0.1:65536/',
  'http://127.0.0.1:8000@evil.example/',
  'http://user@127.0.0.1:8000/',
  'http://127.0.0.1.evil.example:8000/',
  'http://evil.example:8000/',
  'http://127.1:8000/',
  'http://127.0.0.2:8000/',
  'http://2130706433:8000/',
  'http://0x7f.0.0.1:8000/',
  'http://0.0.0.0:8000/',
  'http://[::]:8000/',
  'http://[::ffff:127.0.0.1]:8000/',
  'http://[0:0:0:0:0:0:0:1]:8000/',
  'http://[::1%25eth0]:8000/',
  'http://127.0.0.1:8000/?to=elsewhere',
  'http://127.0.0.1:8000/#fragment',
  'http://127.0.0.1:8000//evil.example\\',
  'http://127.0.0.1:8000/a/../b',
  'http://127.0.0.1:8000/%2e%2e/',
  'http://127.0.0.1:8000/\r\nSet-Cookie: a=b',
  'http://127.0.0.1:8000/a b',
  'http://127.0.0.1:8000/\n',
  ' http://127.0.0.1:8000/',
  'HTTP://127.0.0.1:8000/',
  'http:127.0.0.1:8000/',
  'http://127.0.0.1:8000\\@evil.example/',
  'javascript:alert(1)//127.0.0.1:8000/',
  'postern://127.0.0.1:8000/',
  `http://127.0.0.1:8000/${'a'.repeat(256)}`,
])('%j is not, or could be read in two ways', (uri) => {
  expect(isLoopbackRedirect(uri)).toBe(false)
})
