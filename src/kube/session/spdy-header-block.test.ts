import { createHash } from 'node:crypto'
import { constants, deflateRawSync, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SpdyWriter, headerBlock, uint32 } from '../../../test/support/session-bytes.ts'
import { UndecodableError } from './session-decoder.ts'
import { SPDY_DICTIONARY, SPDY_DICTIONARY_ID } from './spdy-dictionary.ts'
import { MAX_HEADERS, MAX_HEADER_BLOCK_BYTES, SpdyHeaderBlocks } from './spdy-header-block.ts'

const HEAD = Buffer.from('78bbe3c6a7c2', 'hex')

describe('the dictionary', () => {
  test('is that of SPDY/3, byte for byte', () => {
    expect(SPDY_DICTIONARY).toHaveLength(1423)
    expect(createHash('sha256').update(SPDY_DICTIONARY).digest('hex')).toBe(
      '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
    )
    expect(deflateSync('', { dictionary: SPDY_DICTIONARY }).readUInt32BE(2)).toBe(SPDY_DICTIONARY_ID)
  })
})

describe('header blocks', () => {
  test('are read one after the other, each with what came before as its dictionary', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[ -~]{0,99}$/))),
        (all) => {
          const writer = new SpdyWriter()
          const blocks = new SpdyHeaderBlocks()
          for (const headers of all) {
            const read = blocks.read(writer.deflate(headerBlock(Object.entries(headers))))
            expect([...read]).toEqual(Object.entries(headers))
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('may point 32 KiB back, beyond which nothing is kept', () => {
    const writer = new SpdyWriter()
    const blocks = new SpdyHeaderBlocks()
    for (let i = 0; i < 40; i++) {
      const value = createHash('sha512').update(String(i)).digest('hex').repeat(20)
      expect(blocks.read(writer.deflate(headerBlock([['a', value]]))).get('a')).toBe(value)
    }
  })

  const one = headerBlock([['streamtype', 'stdin']])
  const raw = (bytes: Uint8Array, finishFlush: number) =>
    deflateRawSync(bytes, { dictionary: SPDY_DICTIONARY, finishFlush })
  const whole = raw(one, constants.Z_SYNC_FLUSH)
  const stored = (length: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([0, length & 0xff, length >>> 8, ~length & 0xff, (~length >>> 8) & 0xff]), bytes])
  test.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['a cut zlib head', HEAD.subarray(0, 5)],
    ['no zlib head', whole],
    ['another dictionary', Buffer.concat([Buffer.from('78bbe3c6a7c3', 'hex'), whole])],
    ['no dictionary', Buffer.concat([Buffer.from('789c', 'hex'), whole])],
    ['a wrong check of the zlib head', Buffer.concat([Buffer.from('78bae3c6a7c2', 'hex'), whole])],
    ['a last block', Buffer.concat([HEAD, raw(one, constants.Z_FINISH)])],
    ['a last block and more', Buffer.concat([HEAD, raw(one, constants.Z_FINISH), whole])],
    ['a block that is cut', Buffer.concat([HEAD, whole.subarray(0, -5)])],
    ['a flush that ends in the middle of a byte', Buffer.concat([HEAD, raw(one, constants.Z_PARTIAL_FLUSH)])],
    ['a stored block that waits for a byte', Buffer.concat([HEAD, stored(one.length + 1, one)])],
    ...Array.from({ length: 60 }, (_, more): [string, Uint8Array] => [
      `a stored block that waits for ${more + 2} bytes`,
      Buffer.concat([HEAD, stored(one.length + more + 2, one)]),
    ]),
    ['something behind the headers', Buffer.concat([HEAD, raw(Buffer.concat([one, one]), constants.Z_SYNC_FLUSH)])],
    ['no headers where some are announced', Buffer.concat([HEAD, raw(uint32(1), constants.Z_SYNC_FLUSH)])],
    ['a name that is cut', Buffer.concat([HEAD, raw(one.subarray(0, 9), constants.Z_SYNC_FLUSH)])],
    ['a length without end', Buffer.concat([HEAD, raw(Buffer.alloc(8, 255), constants.Z_SYNC_FLUSH)])],
  ])('are refused with %s', (_, block) => {
    expect(() => new SpdyHeaderBlocks().read(block)).toThrow(UndecodableError)
  })

  test.each<[string, readonly (readonly [string, string])[]]>([
    ['a name in upper case', [['StreamType', 'stdin']]],
    [
      'two of one name',
      [
        ['streamtype', 'error'],
        ['streamtype', 'stdin'],
      ],
    ],
    ['two values', [['streamtype', 'error\0stdin']]],
    ['too many', Array.from({ length: MAX_HEADERS + 1 }, (_, i) => [`a${i}`, ''] as const)],
    ['too much once inflated', [['a', 'x'.repeat(MAX_HEADER_BLOCK_BYTES)]]],
    ['10 MB of zeroes', [['a', '0'.repeat(10_000_000)]]],
  ])('are refused with %s', (_, headers) => {
    const block = new SpdyWriter().deflate(headerBlock(headers))
    expect(() => new SpdyHeaderBlocks().read(block)).toThrow(UndecodableError)
  })

  test('are refused at random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => new SpdyHeaderBlocks().read(Buffer.concat([HEAD, bytes]))).toThrow(UndecodableError)
      }),
      { numRuns: 200 },
    )
  })
})
