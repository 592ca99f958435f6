import { expect, test } from 'vitest'
import type { AsciicastEvent } from './asciicast-reader.ts'
import { searchRecording, type RecordingMatch } from './search-recording.ts'

async function search(text: string, ...output: readonly string[]): Promise<readonly RecordingMatch[]> {
  const events = output.map((data, index): AsciicastEvent => ({ timeMs: (index + 1) * 100, code: 'o', data }))
  return (await searchRecording(ReadableStream.from(events), text)).matches
}

test('lines are found in any case, through colours and splits, with the time of their appearance', async () => {
  const output = ['$ DR', 'OP \x1b[3', '1mtab\x1b[0mle x', ' y\r\nnothing\r\n', 'drop table z']
  expect(await search('drop table', ...output)).toEqual([
    { timeMs: 300, line: '$ DROP table x y' },
    { timeMs: 500, line: 'drop table z' },
  ])
})

test('what is typed over is not found, nor is what a control string holds', async () => {
  expect(await search('secret', 'secret\r\x1b[Kx\n', '\x1b]0;secret\x07\n')).toEqual([])
})

test('of a long line the part is told that has the text', async () => {
  const [match] = await search('needle', `${'x'.repeat(4000)}needle${'y'.repeat(4000)}\n`)
  expect(match?.line).toMatch(/^…x+needley+…$/)
  expect(match?.line.length).toBeLessThan(600)
})

test('input is not searched', async () => {
  const events: AsciicastEvent[] = [{ timeMs: 1, code: 'i', data: 'needle' }]
  expect(await searchRecording(ReadableStream.from(events), 'needle')).toEqual({ matches: [], dropped: 0 })
})
