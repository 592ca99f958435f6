import fc from 'fast-check'
import { expect, test } from 'vitest'
import { collected } from '../../../test/support/collected.ts'
import { readAsciicast, type AsciicastEvent } from './asciicast-reader.ts'

const HEADER = '{"version":2,"width":80,"height":24,"title":"x"}\n'

async function read(...chunks: readonly (string | Uint8Array)[]): Promise<AsciicastEvent[]> {
  const { events } = await readAsciicast(ReadableStream.from(chunks.map((chunk) => Buffer.from(chunk))))
  return collected(events)
}

test('the header and the events are read', async () => {
  const source = ReadableStream.from([Buffer.from(`${HEADER}[0.5,"o","名\\n"]\n\n[1.25,"r","100x30"]\n`)])
  const { header, events } = await readAsciicast(source)
  expect(header).toEqual({ version: 2, width: 80, height: 24 })
  expect(await collected(events)).toEqual([
    { timeMs: 500, code: 'o', data: '名\n' },
    { timeMs: 1250, code: 'r', data: '100x30' },
  ])
})

test('wherever the bytes are split, the events are the same', async () => {
  const bytes = Buffer.from(`${HEADER}[0.1,"o","名前 😀"]\n[0.2,"o","b"]\n`)
  const whole = await read(bytes)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 5 }), async (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      expect(await read(...places.slice(1).map((end, index) => bytes.subarray(places[index], end)))).toEqual(whole)
    }),
  )
})

test.for(['[0.2,"o","cut', '[0.2', '[0.2,"o"', '\0\0\0\0'])(
  'a last line cut off as %j is passed over',
  async (rest) => {
    expect(await read(`${HEADER}[0.1,"o","a"]\n${rest}`)).toEqual([{ timeMs: 100, code: 'o', data: 'a' }])
  },
)

test('time never goes back', async () => {
  const events = await read(`${HEADER}[2,"o","a"]\n[1,"o","b"]\n`)
  expect(events.map(({ timeMs }) => timeMs)).toEqual([2000, 2000])
})

test.for([
  ['nothing', '', 'it is empty'],
  ['another version', '{"version":1,"width":80,"height":24}\n', 'it does not begin as an asciicast v2'],
  ['no JSON', 'hello\n', 'it does not begin as an asciicast v2'],
  ['a line that is no event', `${HEADER}[0.1,"o","a"]\n{}\n[0.2,"o","b"]\n`, 'line 3 is no event'],
  ['a time that is none', `${HEADER}[-1,"o","a"]\n`, 'line 2 is no event'],
  ['a line without an end', 'x'.repeat(17 * 1024 * 1024), 'it has a line that is too long'],
] as const)('%s is no recording', async ([, text, message]) => {
  await expect(read(text)).rejects.toThrow(message)
})
