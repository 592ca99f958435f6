import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WebSocketMask } from './websocket-mask.ts'

test('masked bytes are revealed at any alignment and any place of the payload, and stay as they are', () => {
  const mask = new WebSocketMask()
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.nat(7),
      fc.nat(1000),
      (bytes, key, offset, at) => {
        const memory = new Uint8Array(offset + bytes.length)
        memory.set(bytes, offset)
        mask.setKey(key)
        const revealed = mask.reveal(memory.subarray(offset), at)
        expect([...revealed]).toEqual([...bytes].map((byte, i) => byte ^ (key[(at + i) % 4] ?? 0)))
        expect([...memory.subarray(offset)]).toEqual([...bytes])
      },
    ),
  )
})
