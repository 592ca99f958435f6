import { setImmediate as turn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { pieces, splits } from '../../../test/support/split-streams.ts'
import { newManifest } from '../../../test/support/recordings.ts'
import { JsonEscaping } from './json-escaping.ts'
import { openRecorder, type RecorderOptions } from './recorder.ts'
import type { RecordingManifest } from './recording-manifest.ts'
import type { RecordingStore } from '../recording-store/recording-store.ts'
import type { SessionFacts } from './session-facts.ts'
import type { SessionRecorder } from './session-recorder.ts'

const escaping = new JsonEscaping()

/** A store that keeps in memory and fails when it is told to. */
class StagedStore implements RecordingStore {
  writable = true
  takes = true
  lines: string[] = []
  kept: RecordingManifest | null = null
  fail = (_error: Error): void => undefined
  drain = (): void => undefined
  refuses: Error | null = null

  create(manifest: RecordingManifest, onFailure: (error: Error) => void, onDrain: () => void) {
    if (this.refuses !== null) return Promise.reject(this.refuses)
    this.kept = manifest
    this.fail = onFailure
    this.drain = onDrain
    return Promise.resolve({
      append: (lines: string | Uint8Array) => {
        this.lines.push(Buffer.from(lines as string).toString())
        return this.takes
      },
      finish: (last: RecordingManifest) => {
        this.kept = last
        return Promise.resolve('sha256:00')
      },
    })
  }
  list = () => Promise.resolve([])
  manifest = () => Promise.resolve(this.kept)
  read = () => Promise.resolve(Readable.from(this.lines))
  remove = () => Promise.resolve(false)
  close = () => Promise.resolve()

  get events(): [number, string, string][] {
    return this.lines.slice(1).map((line) => JSON.parse(line) as [number, string, string])
  }

  text(code: string): string {
    return this.events.flatMap(([, of, data]) => (of === code ? [data] : [])).join('')
  }
}

interface Staged {
  readonly store: StagedStore
  readonly recorder: SessionRecorder
  readonly clock: { ms: number }
  readonly failures: Error[]
  readonly drains: number[]
  say: (stream: 'stdout' | 'stderr' | 'stdin' | 'error' | 'resize', data: string | Uint8Array) => void
}

async function staged(facts: Partial<SessionFacts> = {}, options: Partial<RecorderOptions> = {}): Promise<Staged> {
  const store = new StagedStore()
  const clock = { ms: 5000 }
  const failures: Error[] = []
  const drains: number[] = []
  const recorder = await openRecorder({
    store,
    facts: newManifest({ startedAtMs: 1_700_000_000_000, ...facts }).session,
    input: false,
    maskPatterns: [],
    escaping,
    onFailure: (error) => failures.push(error),
    onDrain: () => drains.push(clock.ms),
    now: () => clock.ms,
    ...options,
  })
  const say: Staged['say'] = (stream, data) => {
    const chunk = Buffer.from(data)
    recorder.remoteCommand.passed(stream, chunk.length)
    if (recorder.remoteCommand.wanted.has(stream)) recorder.remoteCommand.data(stream, chunk)
  }
  return { store, recorder, clock, failures, drains, say }
}

const SUCCESS = '{"metadata":{},"status":"Success"}'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('a session with a terminal becomes an asciicast and a manifest', async () => {
  const { store, recorder, clock, say } = await staged({ command: ['bash', '--password=x'] })
  say('resize', '{"Width":120,"Height":40}\n')
  clock.ms += 250
  say('stdout', '$ ')
  clock.ms += 1000.5
  say('resize', '{"Width":100,"Height":30}\n')
  say('stdout', 'hello')
  clock.ms += 5
  say('stdout', ' wörld\r\n')
  say('stderr', 'oops')
  say('error', SUCCESS)
  expect(await recorder.finish('')).toBe('sha256:00')
  expect(JSON.parse(store.lines[0] ?? '')).toEqual({
    version: 2,
    width: 120,
    height: 40,
    timestamp: 1_700_000_000,
    command: 'bash --password=[redacted]',
    title: 'exec default/web-0',
  })
  expect(store.events).toEqual([
    [0.25, 'o', '$ '],
    [1.2505, 'r', '100x30'],
    [1.2505, 'o', 'hello wörld\r\n'],
    [1.2555, 'e', 'stderr'],
    [1.2555, 'o', 'oops'],
  ])
  expect(store.kept).toMatchObject({
    state: 'complete',
    session: { command: ['bash', '--password=[redacted]'] },
    outcome: { endedAtMs: 1_700_000_001_256, exitCode: 0, message: '', endedBy: '' },
    streams: { stdout: 16, stderr: 4 },
    elided: [],
    input: { recorded: false, maskedCharacters: 0 },
  })
})

test('the size is 80x24 when output comes before it was told', async () => {
  const { store, recorder, say } = await staged()
  say('stdout', 'a')
  say('resize', '{"Width":120,"Height":40}')
  await recorder.finish('')
  expect(JSON.parse(store.lines[0] ?? '')).toMatchObject({ width: 80, height: 24 })
  expect(store.events).toEqual([
    [0, 'o', 'a'],
    [0, 'r', '120x40'],
  ])
})

test('output is written ten milliseconds after it came, and the header soon without any', async () => {
  const { store, recorder, say } = await staged()
  say('stdout', 'prompt')
  expect(store.lines).toEqual([])
  vi.advanceTimersByTime(10)
  expect(store.text('o')).toBe('prompt')
  await recorder.finish('')
  const silent = await staged()
  vi.advanceTimersByTime(500)
  expect(silent.store.lines).toHaveLength(1)
  await silent.recorder.finish('')
})

test('a clock that goes back does not take the times back', async () => {
  const { store, recorder, clock, say } = await staged()
  for (const ms of [100, 50, 200, 10]) {
    clock.ms = 5000 + ms
    say('stdout', 'x')
    say('resize', `{"Width":${ms},"Height":10}`)
  }
  await recorder.finish('')
  const times = store.events.map(([time]) => time)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
})

test('a terminal is always written, whatever it shows', async () => {
  const { store, recorder, say } = await staged()
  say('stdout', Buffer.alloc(100_000))
  await recorder.finish('')
  expect(store.text('o')).toBe('\0'.repeat(100_000))
})

test('every split of the streams gives the same text', async () => {
  const stream = Buffer.concat([
    Buffer.from('日本語 texts\r\n'.repeat(3000)),
    Buffer.from([0xff, 0xe6, 0x97]),
    Buffer.from('end'),
  ])
  const texts = async (chunks: readonly Uint8Array[], tty: boolean): Promise<string[]> => {
    const { store, recorder, say } = await staged({ tty })
    for (const chunk of chunks) say('stdout', chunk)
    await recorder.finish('')
    return [store.text('o'), store.text('m'), JSON.stringify(store.kept?.elided)]
  }
  const whole = await texts([stream], true)
  expect(whole[0]).toBe(new TextDecoder().decode(stream))
  await fc.assert(
    fc.asyncProperty(splits, fc.boolean(), async (at, tty) => {
      expect(await texts(pieces(stream, at), tty)).toEqual(whole)
    }),
    { numRuns: 100 },
  )
})

describe('without a terminal', () => {
  test('stdin is hashed though it is not recorded', async () => {
    const { store, recorder, say } = await staged({ tty: false })
    say('stdin', 'rm -rf /tmp/x\n')
    await recorder.finish('')
    expect(store.events).toEqual([])
    expect(store.kept?.elided).toMatchObject([{ stream: 'stdin', kind: 'input', byteLength: 14 }])
  })

  test('stdin is recorded with secrets masked when that is asked for', async () => {
    const { store, recorder, say } = await staged({ tty: false }, { input: true })
    say('stdin', 'export PASSWORD=hun')
    say('stdin', 'ter2\nid\nexit')
    await recorder.finish('')
    expect(store.text('i')).toBe('export PASSWORD=*******\nid\nexit')
    expect(store.kept?.input).toEqual({ recorded: true, maskedCharacters: 7 })
  })

  test('a short answer behind binary is shown within moments', async () => {
    const { store, recorder, say } = await staged({ tty: false })
    say('stdout', Buffer.alloc(50_000))
    vi.advanceTimersByTime(10)
    say('stdout', 'uid=0(root)\n')
    vi.advanceTimersByTime(20)
    expect(store.text('o')).toMatch(/uid=0\(root\)\n$/)
    await recorder.finish('')
  })
})

test('typed input is written when it was echoed', async () => {
  const { store, recorder, clock, say } = await staged({}, { input: true })
  for (const key of 'su') {
    say('stdin', key)
    clock.ms += 20
    say('stdout', key)
  }
  say('stdin', '\r')
  say('stdout', '\r\nPassword: ')
  say('stdin', 'hunter2')
  clock.ms += 1000
  vi.advanceTimersByTime(1000)
  say('stdin', '\r')
  await recorder.finish('')
  expect(store.text('i')).toBe('su\r*******\r')
  expect(store.text('o')).toBe('su\r\nPassword: ')
})

test('a port-forward is an account of its connections', async () => {
  const { store, recorder, clock } = await staged({ kind: 'portforward', tty: false })
  recorder.portForward.opened(1, 5432)
  recorder.portForward.passed(1, 'sent', 10)
  recorder.portForward.passed(1, 'received', 20)
  clock.ms += 1500
  recorder.portForward.failed(1, 'refused')
  recorder.portForward.closed(1)
  await recorder.finish('')
  expect(store.kept?.connections).toEqual([
    { port: 5432, sentBytes: 10, receivedBytes: 20, openedAtMs: 0, closedAtMs: 1500, error: 'refused' },
  ])
  expect(store.events).toEqual([[1.5, 'm', 'Connection 1 to port 5432: 10 bytes sent, 20 received, failed: refused']])
})

test('connections that a manifest does not list are told all the same, the open ones at the end', async () => {
  const { store, recorder } = await staged({ kind: 'portforward', tty: false })
  for (let i = 1; i <= 10_002; i++) {
    recorder.portForward.opened(i, i > 10_000 ? 22 : 80)
    recorder.portForward.passed(i, 'sent', 6)
    if (i < 10_002) recorder.portForward.closed(i)
  }
  await recorder.finish('')
  expect(store.kept).toMatchObject({ droppedConnections: 2 })
  expect(store.events.slice(-2).map(([, , text]) => text)).toEqual([
    'Connection 10001 to port 22: 6 bytes sent, 0 received',
    'Connection 10002 to port 22: 6 bytes sent, 0 received',
  ])
})

test('why it ended, and from where on it is incomplete, stand in it', async () => {
  const { store, recorder } = await staged()
  recorder.incomplete('the disk was full for a while')
  recorder.incomplete('and again')
  await recorder.finish('the session was idle for 20m')
  expect(store.text('m')).toBe(
    'Incomplete from here on: the disk was full for a whileEnded: the session was idle for 20m',
  )
  expect(store.kept).toMatchObject({
    incomplete: 'the disk was full for a while',
    outcome: { exitCode: null, endedBy: 'the session was idle for 20m' },
  })
})

describe('a store', () => {
  test('that cannot open a recording refuses the recorder', async () => {
    const store = new StagedStore()
    store.refuses = new Error('no space')
    await expect(staged({}, { store })).rejects.toThrow('no space')
  })

  test('that is behind backlogs the recorder until it drains, and is told what comes meanwhile', async () => {
    const { store, recorder, drains, say } = await staged()
    store.takes = false
    say('stdout', 'x'.repeat(80_000))
    expect(recorder.backlogged).toBe(true)
    say('stdout', 'y'.repeat(80_000))
    expect(store.text('o')).toBe('x'.repeat(80_000) + 'y'.repeat(80_000))
    expect(drains).toEqual([])
    store.takes = true
    store.drain()
    expect(drains).toHaveLength(1)
    expect(recorder.backlogged).toBe(false)
    await recorder.finish('')
  })

  test('that fails is told once, and appended to no more', async () => {
    const { store, recorder, failures, say } = await staged()
    say('stdout', 'a')
    vi.advanceTimersByTime(10)
    const { length } = store.lines
    store.fail(new Error('disk full'))
    store.fail(new Error('disk full'))
    say('stdout', 'b')
    vi.advanceTimersByTime(10)
    expect(failures.map(({ message }) => message)).toEqual(['disk full'])
    expect(store.lines).toHaveLength(length)
    await recorder.finish('')
  })
})

describe('a follower', () => {
  test('gets the header, the size, every line from then on, and the end', async () => {
    const { recorder, say } = await staged()
    say('resize', '{"Width":120,"Height":40}')
    say('stdout', 'before')
    const followed: (string | null)[] = []
    recorder.follow((line) => followed.push(line))
    say('stdout', 'after')
    await recorder.finish('')
    expect(followed[0]).toContain('"width":120')
    expect(followed.slice(1)).toEqual(['[0.000000,"r","120x40"]\n', '[0.000000,"o","after"]\n', null])
  })

  test('is told nothing after it stopped, and one that comes late the end', async () => {
    const { recorder, say } = await staged()
    const followed: (string | null)[] = []
    recorder.follow((line) => followed.push(line))()
    const { length } = followed
    say('stdout', 'x')
    await recorder.finish('')
    expect(followed).toHaveLength(length)
    recorder.follow((line) => followed.push(line))
    expect(followed.at(-1)).toBeNull()
  })

  test('that throws is dropped and disturbs nobody', async () => {
    const { store, recorder, failures, say } = await staged()
    let calls = 0
    recorder.follow(() => {
      if (++calls > 2) throw new Error('gone')
    })
    say('stdout', 'x')
    vi.advanceTimersByTime(10)
    say('stdout', 'y')
    await recorder.finish('')
    expect(calls).toBe(3)
    expect(failures).toEqual([])
    expect(store.text('o')).toBe('xy')
  })
})

test('finishing twice is finishing once, and what comes after is nothing', async () => {
  const { store, recorder, say } = await staged()
  const [first, second] = [recorder.finish('a'), recorder.finish('b')]
  say('stdout', 'late')
  await turn()
  expect(await first).toBe(await second)
  expect(store.text('m')).toBe('Ended: a')
  expect(store.text('o')).toBe('')
})
