import { expect, test } from 'vitest'
import type { AsciicastEvent } from '../audit/playback/asciicast-reader.ts'
import { play, type PlaybackKey, type PlaybackOptions } from './playback.ts'

type Press = { readonly key: PlaybackKey; readonly afterMs: number }

/** Plays events at these times with a clock that only waiting moves. Each key comes so long after the one before. */
async function played(
  times: readonly number[],
  {
    presses = [],
    slowness = 0,
    ...options
  }: Partial<PlaybackOptions> & { presses?: readonly Press[]; slowness?: number },
): Promise<{ shown: string[]; atMs: number; quit: boolean }> {
  const shown: string[] = []
  const left = [...presses]
  let clock = 0
  let pressAt = left[0]?.afterMs ?? Infinity
  const press = (): PlaybackKey | null => {
    const key = left.shift()?.key ?? null
    pressAt = clock + (left[0]?.afterMs ?? Infinity)
    return key
  }
  const keys = {
    now: () => clock,
    pressed: () => (pressAt <= clock ? press() : null),
    next: (waitMs: number | null): Promise<PlaybackKey | null> => {
      if (pressAt > clock + (waitMs ?? Infinity)) {
        clock += waitMs ?? 0
        return Promise.resolve(null)
      }
      clock = Math.max(clock, pressAt)
      return Promise.resolve(press())
    },
  }
  const screen = {
    show: ({ timeMs }: AsciicastEvent) => {
      shown.push(`${timeMs}@${Math.round(clock)}`)
      clock += slowness
      return Promise.resolve()
    },
    clear: () => {
      shown.push('cleared')
      return Promise.resolve()
    },
  }
  const events = times.map((timeMs): AsciicastEvent => ({ timeMs, code: 'o', data: '' }))
  const open = (): Promise<AsyncIterable<AsciicastEvent>> => Promise.resolve(ReadableStream.from(events))
  const end = await play(open, screen, keys, { speed: 1, idleLimitMs: Infinity, fromMs: 0, ...options })
  return { shown, ...end }
}

test.for([
  ['as recorded', {}, ['0@0', '1000@1000', '4000@4000', '4500@4500']],
  ['twice as fast', { speed: 2 }, ['0@0', '1000@500', '4000@2000', '4500@2250']],
  ['half as fast', { speed: 0.5 }, ['0@0', '1000@2000', '4000@8000', '4500@9000']],
  ['with shorter pauses', { idleLimitMs: 600 }, ['0@0', '1000@600', '4000@1200', '4500@1700']],
  ['from within', { fromMs: 3800 }, ['0@0', '1000@0', '4000@200', '4500@700']],
  ['from behind the end', { fromMs: 9000 }, ['0@0', '1000@0', '4000@0', '4500@0']],
] as const)('events are shown %s', async ([, options, shown]) => {
  expect(await played([0, 1000, 4000, 4500], options)).toMatchObject({ shown, quit: false })
})

test('a terminal that takes its time delays nothing', async () => {
  const { shown } = await played([0, 100, 200, 1000], { slowness: 30 })
  expect(shown).toEqual(['0@0', '100@100', '200@200', '1000@1000'])
})

test.for([
  [
    'space pauses and goes on',
    [
      { key: 'pause', afterMs: 500 },
      { key: 'pause', afterMs: 9000 },
    ],
    ['0@0', '1000@10000', '9000@18000'],
  ],
  ['right goes 5 s on', [{ key: 'forward', afterMs: 1500 }], ['0@0', '1000@1000', '9000@4000']],
  ['up doubles the speed', [{ key: 'faster', afterMs: 5000 }], ['0@0', '1000@1000', '9000@7000']],
  ['down halves it', [{ key: 'slower', afterMs: 5000 }], ['0@0', '1000@1000', '9000@13000']],
  [
    'left begins anew and goes to 5 s before',
    [{ key: 'back', afterMs: 8000 }],
    ['0@0', '1000@1000', 'cleared', '0@8000', '1000@8000', '9000@14000'],
  ],
  [
    'left at the beginning begins anew',
    [{ key: 'back', afterMs: 500 }],
    ['0@0', 'cleared', '0@500', '1000@1500', '9000@9500'],
  ],
] as const)('%s', async ([, presses, shown]) => {
  expect(await played([0, 1000, 9000], { presses })).toMatchObject({ shown, quit: false })
})

test('q ends, also while it pauses, and tells where', async () => {
  const presses = [
    { key: 'pause', afterMs: 2500 },
    { key: 'quit', afterMs: 60_000 },
  ] as const
  expect(await played([0, 1000, 9000], { presses })).toEqual({ shown: ['0@0', '1000@1000'], atMs: 2500, quit: true })
})

test('q ends also where output never pauses', async () => {
  const presses = [{ key: 'quit', afterMs: 100 }] as const
  const { shown, quit } = await played(Array<number>(1000).fill(0), { presses, slowness: 30 })
  expect([shown.length, quit]).toEqual([4, true])
})
