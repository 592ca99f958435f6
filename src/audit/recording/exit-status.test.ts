import { expect, test } from 'vitest'
import { ExitStatusReader } from './exit-status.ts'

function statusOf(subprotocol: string, ...chunks: string[]): unknown {
  const reader = new ExitStatusReader(subprotocol)
  for (const chunk of chunks) reader.push(Buffer.from(chunk))
  return reader.status
}

function failure(code: string): string {
  const details = { causes: [{ reason: 'ExitCode', message: code }] }
  return JSON.stringify({
    metadata: {},
    status: 'Failure',
    message: 'command terminated',
    reason: 'NonZeroExitCode',
    details,
  })
}

test.each([
  ['success', '{"metadata":{},"status":"Success"}\n', { exitCode: 0, message: '' }],
  ['an exit code', failure('137'), { exitCode: 137, message: '' }],
  ['a code that is none', failure('-1e9'), { exitCode: null, message: 'command terminated' }],
  [
    'another failure',
    '{"status":"Failure","message":"no such container"}',
    { exitCode: null, message: 'no such container' },
  ],
  ['no JSON', 'oops', { exitCode: null, message: 'oops' }],
  ['JSON that is no Status', '[null]', { exitCode: null, message: '[null]' }],
  ['nothing', '', { exitCode: null, message: '' }],
])('of v4 and later, %s', (_, text, status) => {
  expect(statusOf('v4.channel.k8s.io', text)).toEqual(status)
  expect(statusOf('v5.channel.k8s.io', ...text.split(/(?=.)/))).toEqual(status)
})

test('before v4, bytes on the error stream are text', () => {
  const text = '{"metadata":{},"status":"Success"}'
  expect(statusOf('v3.channel.k8s.io', text)).toEqual({ exitCode: null, message: text })
  expect(statusOf('', 'command terminated')).toEqual({ exitCode: null, message: 'command terminated' })
})

test('what is too long is cut', () => {
  const { message } = statusOf('', ...Array<string>(100).fill('x'.repeat(10_000))) as { message: string }
  expect(message).toHaveLength(1024)
})
