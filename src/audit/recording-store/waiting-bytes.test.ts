import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PartPool, WaitingBytes } from './waiting-bytes.ts'

const lines = fc.array(
  fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.uint8Array({ maxLength: 200_000 })),
  {
    maxLength: 30,
  },
)

async function drained(waiting: WaitingBytes): Promise<Buffer> {
  const written: Buffer[] = []
  while (waiting.byteLength > 0) {
    await waiting.drain((parts) => {
      written.push(Buffer.concat(parts))
      return Promise.resolve()
    })
  }
  return Buffer.concat(written)
}

test('what waits comes out in order, whatever it was and however it was cut into parts', async () => {
  const pool = new PartPool()
  await fc.assert(
    fc.asyncProperty(lines, async (added) => {
      const waiting = new WaitingBytes(pool)
      for (const line of added) waiting.add(line)
      const whole = Buffer.concat(added.map((line) => Buffer.from(line as string)))
      expect(waiting.byteLength).toBe(whole.length)
      expect((await drained(waiting)).equals(whole)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('what is added while a part is written does not touch that part', async () => {
  const waiting = new WaitingBytes(new PartPool())
  waiting.add('first')
  let seen = ''
  await waiting.drain(async (parts) => {
    waiting.add('second')
    await Promise.resolve()
    seen = Buffer.concat(parts).toString()
  })
  expect(seen).toBe('first')
  expect((await drained(waiting)).toString()).toBe('second')
})

test('memory is used again, and a recording that failed gives it back', async () => {
  const pool = new PartPool()
  const part = pool.take(1)
  pool.give(part)
  const waiting = new WaitingBytes(pool)
  waiting.add('x')
  waiting.clear()
  expect(waiting.byteLength).toBe(0)
  expect(pool.take(1)).toBe(part)
  await waiting.drain(() => Promise.reject(new Error('nothing waits')))
})
