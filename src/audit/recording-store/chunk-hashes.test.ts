import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CHUNK_BYTES, ChunkHashes } from './chunk-hashes.ts'

const content = Buffer.alloc(2 * CHUNK_BYTES + 1234, 'some of what was said ')

it('has the same chunks however the bytes come', () => {
  const whole = new ChunkHashes()
  whole.update(content)
  fc.assert(
    fc.property(fc.array(fc.nat(content.length), { maxLength: 20 }), (cuts) => {
      const parts = new ChunkHashes()
      const ends = [...cuts.sort((a, b) => a - b), content.length]
      ends.forEach((end, i) => {
        parts.update(content.subarray(ends[i - 1] ?? 0, end))
      })
      expect(parts.chunks()).toEqual(whole.chunks())
    }),
    { numRuns: 50 },
  )
})

it('tells the chunks so far without ending the last', () => {
  const hashes = new ChunkHashes()
  hashes.update(Buffer.from('ab'))
  expect(hashes.chunks()).toEqual([
    { byteLength: 2, hash: `sha256:${createHash('sha256').update('ab').digest('hex')}` },
  ])
  hashes.update(Buffer.from('c'))
  expect(hashes.chunks()).toEqual([
    { byteLength: 3, hash: `sha256:${createHash('sha256').update('abc').digest('hex')}` },
  ])
})

it('has no chunk of nothing, nor one behind a full one', () => {
  const hashes = new ChunkHashes()
  expect(hashes.chunks()).toEqual([])
  hashes.update(content.subarray(0, CHUNK_BYTES))
  expect(hashes.chunks().map(({ byteLength }) => byteLength)).toEqual([CHUNK_BYTES])
})
