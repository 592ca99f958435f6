import { expect, test } from 'vitest'
import { parseDuration } from '../document/duration.ts'
import { strictest } from './obligations.ts'

const time = (text: string) => parseDuration(text) ?? undefined

test.each<[name: string, demands: Parameters<typeof strictest>[0], obligations: object]>([
  ['none', [undefined], {}],
  ['one', [{ record: 'off', maxDuration: time('8h') }], { record: 'off', maxDurationMs: 28_800_000 }],
  [
    'the shortest times',
    [{ maxDuration: time('8h'), idleTimeout: time('1m') }, { maxDuration: time('1h') }],
    { maxDurationMs: 3_600_000, idleTimeoutMs: 60_000 },
  ],
  ['the smallest number', [{ maxConcurrent: 5 }, { maxConcurrent: 2 }, undefined], { maxConcurrent: 2 }],
  [
    'required wins',
    [{ record: 'off' }, undefined, { record: 'required' }, { record: 'best-effort' }],
    { record: 'required' },
  ],
  ['best-effort beats off', [{ record: 'off' }, { record: 'best-effort' }], { record: 'best-effort' }],
  ["off beside a rule that leaves it open is the socket's choice", [{ record: 'off' }, undefined], {}],
  [
    'best-effort beside a rule that leaves it open is required',
    [{ record: 'best-effort' }, {}],
    { record: 'required' },
  ],
])('%s', (_, demands, obligations) => {
  expect(strictest(demands)).toEqual(obligations)
})
