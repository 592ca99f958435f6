import { format, inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { inspectDocument, renderMistake } from './document.ts'
import { Secret, secretReference } from './secret.ts'

describe('a secret never prints', () => {
  const secret = new Secret('hunter2')
  const wrapped = { deep: [{ secret }] }
  test.each<[way: string, printed: string]>([
    ['String()', String(secret)],
    ['concatenation', ''.concat(secret as unknown as string)],
    ['JSON', JSON.stringify(wrapped)],
    ['inspect', inspect(wrapped, { depth: null, showHidden: true, customInspect: true })],
    ['inspect without custom inspection', inspect(wrapped, { depth: null, showHidden: true, customInspect: false })],
    ['format', format('%s %o %O %j', secret, secret, secret, secret)],
    ['its properties', JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(secret)))],
    ['a copy', JSON.stringify(Object.assign({}, secret))],
  ])('by %s', (_, printed) => {
    expect(printed).not.toContain('hunter2')
  })

  test('but can be revealed', () => {
    expect(secret.reveal()).toBe('hunter2')
    expect([String(secret), inspect(secret), JSON.stringify(secret)]).toEqual([
      '[redacted]',
      '[redacted]',
      '"[redacted]"',
    ])
  })
})

describe('a secret written where its reference belongs is not repeated', () => {
  const schema = z.strictObject({ token: secretReference })
  test.each([
    'token: hunter2',
    'token: [hunter2]',
    'token: { env: hunter2-hunter2 }',
    'token: { env: [hunter2] }',
    'token: { value: hunter2 }',
    'token: { file: "-----BEGIN KEY-----\\nhunter2" }',
    'token: { file: a, env: hunter2-hunter2 }',
    `token: { file: "hunter2${'x'.repeat(5000)}" }`,
  ])('%s', (text) => {
    const lines = inspectDocument(schema, text, 'a').mistakes.map(renderMistake)
    expect(lines).not.toEqual([])
    expect(lines.join('\n')).not.toContain('hunter2')
  })
})
