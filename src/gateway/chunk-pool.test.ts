import { describe, expect, it } from 'vitest'
import { ChunkPool } from './chunk-pool.ts'

describe('a chunk pool', () => {
  it('gives a copy that outlives the chunk', () => {
    const pool = new ChunkPool()
    for (const size of [0, 10, 10_000, 16_384, 100_000]) {
      const chunk = Buffer.alloc(size, 'a')
      const { bytes } = pool.copy(chunk)
      chunk.fill('b')
      expect(bytes.equals(Buffer.alloc(size, 'a'))).toBe(true)
    }
  })

  it('uses memory again once it was released, and not before', () => {
    const pool = new ChunkPool()
    const first = pool.copy(Buffer.alloc(10_000, 'a'))
    const second = pool.copy(Buffer.alloc(10_000, 'b'))
    expect(second.bytes.buffer).not.toBe(first.bytes.buffer)
    first.release()
    expect(pool.copy(Buffer.alloc(5_000)).bytes.buffer).toBe(first.bytes.buffer)
  })
})
