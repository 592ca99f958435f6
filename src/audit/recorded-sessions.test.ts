import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readRecordedSessions } from './recorded-sessions.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-recorded-sessions-'))
})
afterAll(() => rm(directory, { recursive: true }))

const hash = `sha256:${'a1'.repeat(32)}`
const event = (annotations: object): string => JSON.stringify({ kind: 'Event', annotations })

test('a trail tells which sessions were recorded, and with which manifest', async () => {
  const trail = join(directory, 'audit.jsonl')
  const lines = [
    event({ 'postern.dev/session': 'one', 'postern.dev/recording': hash }),
    event({ 'postern.dev/session': 'two', 'postern.dev/recording': 'off' }),
    event({ 'postern.dev/session': 'three', 'postern.dev/recording': 'failed' }),
    event({ 'postern.dev/session': 'four', 'postern.dev/recording': `${hash}0` }),
    event({}),
    `{"annotations":{"postern.dev/recording":"sha256:`,
    'not an event',
  ]
  await writeFile(trail, lines.join('\n'))
  expect(await readRecordedSessions(trail)).toEqual(new Map([['one', hash]]))
})

test('a trail that is not there is an error', async () => {
  await expect(readRecordedSessions(join(directory, 'nowhere'))).rejects.toThrow('ENOENT')
})
