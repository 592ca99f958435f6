import { expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { redactSecrets } from './redaction.ts'

const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl'
const EXEC = '/api/v1/namespaces/a/pods/b/exec?command='

test.each([
  [`/api?access_token=${TOKEN}`, '/api?access_token=[redacted]'],
  [`/api/${TOKEN}/x`, '/api/[redacted]/x'],
  [`/api?a=${TOKEN}&b=1`, '/api?a=[redacted]&b=1'],
  ['/api?token=abc&b=1', '/api?token=[redacted]&b=1'],
  ['/api?X-Amz-Signature=0123', '/api?X-Amz-Signature=[redacted]'],
  [`${EXEC}psql&command=--password%3Dhunter2&tty=true`, `${EXEC}psql&command=--password%3D[redacted]&tty=true`],
  [`${EXEC}PGPASSWORD%3Dhunter2`, `${EXEC}PGPASSWORD%3D[redacted]`],
  [`${EXEC}--bearer%3D${TOKEN}`, `${EXEC}--bearer%3D[redacted]`],
  [`${EXEC}login&command=--token&command=hunter2`, `${EXEC}login&command=--token&command=[redacted]`],
])('in %s what is secret is replaced', (target, redacted) => {
  expect(redactSecrets(target)).toBe(redacted)
})

test.each([
  '/api/v1/namespaces/a/secrets?watch=1',
  '/api/v1/namespaces/a/secrets/token-of-ana?fieldSelector=metadata.name%3Dmy-secret',
  '/api/v1/pods?limit=500&continue=eyJ2Ijoib',
  `${EXEC}cat&command=%2Fetc%2Fpasswd&stdin=true`,
])('%s is left as it is', (target) => {
  expect(redactSecrets(target)).toBe(target)
})

test('takes no longer than the text is long', () => {
  const hostile = ['eyJ', '%3DeyJaaaa', '.eyJa', 'password=', 'api_key'].map((text) => text.repeat(3_000)).join('')
  const spentMs = cpuStopwatch()
  redactSecrets(hostile)
  expect(spentMs()).toBeLessThan(500)
})
