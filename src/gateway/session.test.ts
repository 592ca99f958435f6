import { readFileSync, readdirSync } from 'node:fs'
import { Readable, duplexPair, type Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newManifest } from '../../test/support/recordings.ts'
import { clientFrame, data, frame } from '../../test/support/session-bytes.ts'
import { retainedBytes } from '../../test/support/retained-memory.ts'
import { JsonEscaping } from '../audit/recording/json-escaping.ts'
import { openRecorder } from '../audit/recording/recorder.ts'
import type { RecordingManifest } from '../audit/recording/recording-manifest.ts'
import type { RecordingStore } from '../audit/recording-store/recording-store.ts'
import type { SessionFacts } from '../audit/recording/session-facts.ts'
import type { SessionRecorder } from '../audit/recording/session-recorder.ts'
import type { SessionDecoder, SessionProtocol } from '../kube/session/session-decoder.ts'
import { createPortForwardDecoder, createRemoteCommandDecoder } from '../kube/session/session-decoders.ts'
import { ChunkPool } from './chunk-pool.ts'
import { SessionActivity } from './session-activity.ts'
import { Session } from './session.ts'
import { YoungGarbage } from './young-garbage.ts'
import { type Authenticated, Authorized } from './stages.ts'

/** What kubectl and kube-apiserver said to each other behind the 101, as it was on the wire. */
interface Sample {
  readonly name: string
  readonly protocol: SessionProtocol
  readonly kind: SessionFacts['kind']
  readonly asked: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly tty: boolean }
  readonly turns: readonly Turn[]
}

interface Turn {
  readonly from: 'client' | 'upstream'
  readonly bytes: Buffer
}

const directory = new URL('../../test/conformance/sessions/', import.meta.url)
const samples = readdirSync(directory).map((file): Sample => {
  const { request, protocol, turns } = JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as {
    request: string
    protocol: SessionProtocol
    turns: { from: Turn['from']; base64: string }[]
  }
  const { pathname, searchParams: query } = new URL(request.split(' ')[1] ?? '', 'http://localhost')
  const has = (name: string): boolean => query.has(name)
  return {
    name: file.replace('.json', ''),
    protocol,
    kind: pathname.endsWith('/portforward') ? 'portforward' : 'exec',
    asked: { stdin: has('stdin'), stdout: has('stdout'), stderr: has('stderr'), tty: has('tty') },
    turns: turns.map(({ from, base64 }) => ({ from, bytes: Buffer.from(base64, 'base64') })),
  }
})

const EXEC: Omit<Sample, 'name' | 'turns'> = {
  protocol: { protocol: 'websocket', subprotocol: 'v5.channel.k8s.io' },
  kind: 'exec',
  asked: { stdin: true, stdout: true, stderr: false, tty: false },
}

function decoderOf(
  { kind, protocol, asked }: Omit<Sample, 'name' | 'turns'>,
  activity: SessionActivity,
): SessionDecoder {
  return kind === 'portforward'
    ? createPortForwardDecoder(protocol, { ports: [] }, activity.portForward)
    : createRemoteCommandDecoder(protocol, asked, activity.remoteCommand)
}

/** Keeps in memory what it is told to, and takes no more when it is told so. */
class MemoryStore implements RecordingStore {
  writable = true
  takes = true
  keepsLines = true
  readonly lines: string[] = []
  lineBytes = 0
  last: RecordingManifest | null = null
  fail: (error: Error) => void = () => undefined
  drain: () => void = () => undefined

  create(_manifest: RecordingManifest, onFailure: (error: Error) => void, onDrain: () => void) {
    this.fail = onFailure
    this.drain = onDrain
    return Promise.resolve({
      append: (line: string | Uint8Array) => {
        this.lineBytes += line.length
        if (this.keepsLines) this.lines.push(Buffer.from(line as string).toString())
        return this.takes
      },
      finish: (manifest: RecordingManifest) => {
        this.last = manifest
        return Promise.resolve('sha256:00')
      },
    })
  }
  list = () => Promise.resolve([])
  manifest = () => Promise.resolve(this.last)
  read = () => Promise.resolve(Readable.from(this.lines))
  remove = () => Promise.resolve(false)
  close = () => Promise.resolve()
}

const escaping = new JsonEscaping()

/** A session between two sides in memory, and what each of them got. */
interface Relay {
  readonly session: Session
  readonly store: MemoryStore
  /** The far ends of both sides. */
  readonly client: Duplex
  readonly upstream: Duplex
  readonly toClient: () => Buffer
  readonly toUpstream: () => Buffer
  readonly byteLengths: { client: number; upstream: number }
  /** Why it ended, once both sides are closed; null before. */
  readonly endedBy: () => string | null
  /** The API server's connection breaks. */
  breakUpstream(): void
  /** Ends it from both sides, and gives the account. */
  finish(): Promise<RecordingManifest>
}

async function startRelay(
  sample: Omit<Sample, 'name' | 'turns'>,
  record: SessionFacts['record'],
  { keeps = true } = {},
): Promise<Relay> {
  const store = new MemoryStore()
  store.keepsLines = keeps
  const { kind, asked, protocol } = sample
  const facts = newManifest({ kind, record, ...asked, ...protocol, startedAtMs: 0 }).session
  const started: { session: Session | null } = { session: null }
  const recorder: SessionRecorder | null =
    record === 'off'
      ? null
      : await openRecorder({
          store,
          facts,
          input: false,
          maskPatterns: [],
          escaping,
          onFailure: () => started.session?.recordingFailed(),
          onDrain: () => started.session?.drained(),
        })
  const [clientSide, client] = duplexPair()
  const [upstreamSide, upstream] = duplexPair()
  const activity = new SessionActivity(recorder?.remoteCommand ?? null, recorder?.portForward ?? null)
  const decision = {
    effect: 'allow',
    rule: 'developers#1',
    location: '',
    policyRevision: 'sha256:00',
    reason: '',
    nearest: [],
    obligations: {},
  } as const
  let endedBy: string | null = null
  const session = new Session({
    authorized: Authorized.from({} as Authenticated, decision),
    facts,
    client: clientSide,
    upstream: upstreamSide,
    decoder: decoderOf(sample, activity),
    activity,
    recorder,
    garbage: new YoungGarbage(),
    chunks: new ChunkPool(),
    onClosed: (reason) => (endedBy = reason),
  })
  started.session = session
  const got = { client: [] as Buffer[], upstream: [] as Buffer[] }
  const byteLengths = { client: 0, upstream: 0 }
  for (const [name, end] of [['client', client] as const, ['upstream', upstream] as const]) {
    end.on('error', () => undefined)
    end.on('data', (chunk: Buffer) => {
      byteLengths[name] += chunk.length
      if (keeps) got[name].push(chunk)
    })
  }
  session.start((onChunk) => {
    // The memory is used again, as it is where the API server's side is read.
    upstreamSide.on('data', (chunk: Buffer) => {
      const view = Buffer.from(chunk)
      onChunk(view)
      view.fill(0)
    })
  })
  return {
    session,
    store,
    client,
    upstream,
    toClient: () => Buffer.concat(got.client),
    toUpstream: () => Buffer.concat(got.upstream),
    byteLengths,
    endedBy: () => endedBy,
    breakUpstream() {
      upstreamSide.destroy(new Error('read ECONNRESET'))
    },
    async finish() {
      clientSide.destroy()
      upstreamSide.destroy()
      await turn()
      await recorder?.finish(endedBy ?? '')
      return store.last ?? newManifest()
    },
  }
}

async function play(relay: Relay, turns: readonly Turn[]): Promise<void> {
  for (const { from, bytes } of turns) {
    const end = relay[from]
    if (!end.destroyed && end.writable) end.write(bytes)
    // Through the pair, through the session, through the other pair.
    for (let i = 0; i < 4; i += 1) await turn()
  }
}

/** What may pass: everything up to the first piece that the bytes so far cannot be read with. */
function understood(sample: Sample, turns: readonly Turn[]): { client: Buffer; upstream: Buffer; whole: boolean } {
  const decoder = decoderOf(sample, new SessionActivity(null, null))
  const passed = { client: [] as Buffer[], upstream: [] as Buffer[] }
  let whole = true
  try {
    for (const { from, bytes } of turns) {
      if (from === 'client') decoder.fromClient(bytes)
      else decoder.fromUpstream(bytes)
      passed[from].push(bytes)
    }
  } catch {
    whole = false
  }
  return { client: Buffer.concat(passed.client), upstream: Buffer.concat(passed.upstream), whole }
}

const mutation = fc.record({
  turn: fc.nat(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  how: fc.constantFrom('flip', 'insert', 'remove', 'repeat', 'truncate', 'move'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
})
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

function mutate(turns: readonly Turn[], mutations: readonly Mutation[]): Turn[] {
  const mutated = [...turns]
  for (const { turn: which, at, how, bytes } of mutations) {
    const index = which % mutated.length
    const chosen = mutated[index]
    if (chosen === undefined) continue
    const offset = Math.floor(at * chosen.bytes.length)
    const [before, behind] = [chosen.bytes.subarray(0, offset), chosen.bytes.subarray(offset)]
    const from = how === 'move' ? (chosen.from === 'client' ? 'upstream' : 'client') : chosen.from
    const parts: Record<Mutation['how'], Uint8Array[]> = {
      flip: [before, Buffer.from(behind.subarray(0, 1)).map((byte) => byte ^ (bytes[0] ?? 1)), behind.subarray(1)],
      insert: [before, bytes, behind],
      remove: [before, behind.subarray(bytes.length)],
      repeat: [before, behind, behind],
      truncate: [before],
      move: [chosen.bytes],
    }
    mutated[index] = { from, bytes: Buffer.concat(parts[how]) }
  }
  return mutated.filter(({ bytes }) => bytes.length > 0)
}

/** In pieces as long as the fractions say, one after the other. */
function inPieces(turns: readonly Turn[], fractions: readonly number[]): Turn[] {
  return turns.flatMap(({ from, bytes }, i) => {
    const at = Math.floor((fractions[i % fractions.length] ?? 0) * bytes.length)
    return [bytes.subarray(0, at), bytes.subarray(at)]
      .filter((piece) => piece.length > 0)
      .map((piece) => ({ from, bytes: piece }))
  })
}

const mutatedSession = fc.record({
  sample: fc.constantFrom(...samples),
  mutations: fc.array(mutation, { maxLength: 4 }),
  fractions: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }),
})
const RUNS = { numRuns: 150 }

describe('bytes that were tampered with', () => {
  test('pass a session that must be recorded only as far as they were read', async () => {
    await fc.assert(
      fc.asyncProperty(mutatedSession, async ({ sample, mutations, fractions }) => {
        const turns = inPieces(mutate(sample.turns, mutations), fractions)
        const { client, upstream, whole } = understood(sample, turns)
        const relay = await startRelay(sample, 'required')
        await play(relay, turns)
        expect(relay.toUpstream().equals(client)).toBe(true)
        const told = relay.toClient().subarray(upstream.length)
        expect(relay.toClient().subarray(0, upstream.length).equals(upstream)).toBe(true)
        const manifest = await relay.finish()
        expect(manifest.incomplete).toBe('')
        if (whole) expect(told).toHaveLength(0)
        else expect(relay.endedBy()).toMatch(/^this session must be recorded, and its bytes cannot be: /)
      }),
      RUNS,
    )
  })

  test.each(['best-effort', 'off'] as const)('pass one whose recording is %s as they are', async (record) => {
    await fc.assert(
      fc.asyncProperty(mutatedSession, async ({ sample, mutations, fractions }) => {
        const turns = inPieces(mutate(sample.turns, mutations), fractions)
        const relay = await startRelay(sample, record)
        await play(relay, turns)
        const sent = (from: Turn['from']): Buffer =>
          Buffer.concat(turns.filter((piece) => piece.from === from).map(({ bytes }) => bytes))
        expect(relay.toUpstream().equals(sent('client'))).toBe(true)
        expect(relay.toClient().equals(sent('upstream'))).toBe(true)
        const manifest = await relay.finish()
        expect(relay.endedBy()).toBe('')
        if (record !== 'off') expect(manifest.incomplete === '').toBe(understood(sample, turns).whole)
      }),
      { numRuns: 75 },
    )
  })
})

describe('noise', () => {
  test('passes no session that must be recorded, and crashes none', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...samples),
        fc.array(fc.record({ from: fc.constantFrom('client', 'upstream'), bytes: fc.uint8Array({ minLength: 1 }) })),
        async (sample, noise) => {
          const turns = noise.map(({ from, bytes }) => ({ from, bytes: Buffer.from(bytes) }))
          const relay = await startRelay(sample, 'required')
          await play(relay, turns)
          expect(relay.toUpstream().equals(understood(sample, turns).client)).toBe(true)
          await relay.finish()
        },
      ),
      RUNS,
    )
  })
})

const MEGABYTE = 1024 * 1024

describe('memory', () => {
  test.each<[string, Turn]>([
    ['stdin', { from: 'client', bytes: clientFrame(2, Buffer.alloc(MEGABYTE, '\0typed\n')) }],
    ['stdout', { from: 'upstream', bytes: frame(2, Buffer.alloc(MEGABYTE, '\x01said\n')) }],
    ['binary stdout', { from: 'upstream', bytes: frame(2, Buffer.alloc(MEGABYTE, 1)) }],
  ])('does not grow with %s', async (_, piece) => {
    const relay = await startRelay(EXEC, 'required', { keeps: false })
    await play(relay, [piece])
    const before = retainedBytes()
    for (let i = 0; i < 32; i += 1) await play(relay, [piece])
    await expect.poll(() => retainedBytes() - before).toBeLessThan(2 * MEGABYTE)
    expect(relay.byteLengths.client + relay.byteLengths.upstream).toBe(33 * piece.bytes.length)
    await relay.finish()
  })
})

describe('a store that is slow', () => {
  const piece = frame(2, Buffer.concat([Buffer.from([1]), Buffer.alloc(64 * 1024, 'said ')]))

  test('slows both directions down, and nothing is lost', async () => {
    const relay = await startRelay(EXEC, 'required', { keeps: false })
    relay.store.takes = false
    let sent = 0
    for (; relay.upstream.writableLength === 0 && sent < 200; sent += 1)
      await play(relay, [{ from: 'upstream', bytes: piece }])
    expect(sent).toBeLessThan(20)
    const passed = { ...relay.byteLengths }
    relay.client.write(clientFrame(2, '\0typed\n'))
    relay.upstream.write(piece)
    await play(relay, [])
    for (let i = 0; i < 10; i += 1) await turn()
    expect(relay.byteLengths).toEqual(passed)
    relay.store.takes = true
    relay.store.drain()
    await expect.poll(() => relay.byteLengths.client).toBe((sent + 1) * piece.length)
    expect(relay.byteLengths.upstream).toBe(clientFrame(2, '\0typed\n').length)
    const manifest = await relay.finish()
    expect(manifest.streams).toEqual({ stdin: 6, stdout: (sent + 1) * 64 * 1024 })
  })

  test('that fails ends what must be recorded with the reason, and lets go on what need not', async () => {
    for (const record of ['required', 'best-effort'] as const) {
      const relay = await startRelay(EXEC, record)
      relay.store.takes = false
      await play(relay, [{ from: 'upstream', bytes: piece }])
      relay.store.fail(new Error('the disk is full'))
      relay.store.drain()
      await play(relay, [{ from: 'client', bytes: clientFrame(2, '\0more\n') }])
      const isGone = relay.toUpstream().length === 0
      expect(isGone).toBe(record === 'required')
      expect(relay.toClient().includes('its recording can no longer be kept')).toBe(record === 'required')
      await relay.finish()
    }
  })
})

test('a session over SPDY that ends in the middle of a frame passes no more input', async () => {
  const sample = samples.find(({ name }) => name === 'exec-stdin-kubectl-1.27')
  if (sample === undefined) throw new Error('no such sample')
  const relay = await startRelay(sample, 'required')
  const first = sample.turns.findIndex(({ from }) => from === 'upstream')
  await play(relay, sample.turns.slice(0, first + 1))
  const passed = relay.toUpstream()
  relay.upstream.write(data(5, 'half').subarray(0, 9))
  await play(relay, [{ from: 'client', bytes: data(99, 'hidden') }, ...sample.turns.slice(first + 1)])
  expect(relay.toUpstream().equals(passed)).toBe(true)
  await relay.finish()
})

describe('an API server that is gone', () => {
  const last = frame(2, `\x01${'the last bytes'.repeat(10_000)}`)

  async function startWithASlowReader(): Promise<Relay> {
    const relay = await startRelay(EXEC, 'off')
    relay.client.pause()
    relay.upstream.write(last)
    for (let i = 0; i < 4; i += 1) await turn()
    expect(relay.toClient().length).toBeLessThan(last.length)
    return relay
  }

  test('takes nothing from a slow client of what was read of it', async () => {
    const relay = await startWithASlowReader()
    relay.breakUpstream()
    for (let i = 0; i < 4; i += 1) await turn()
    expect(relay.endedBy()).toBeNull()
    relay.client.resume()
    await expect.poll(relay.endedBy).toBe('')
    expect(relay.toClient().equals(last)).toBe(true)
  })

  test('lets its client close by itself when it had ended', async () => {
    const relay = await startRelay(EXEC, 'off')
    relay.upstream.end(last)
    await expect.poll(() => relay.client.readableEnded).toBe(true)
    relay.breakUpstream()
    for (let i = 0; i < 4; i += 1) await turn()
    expect([relay.endedBy(), relay.toClient().equals(last)]).toEqual([null, true])
    relay.client.end()
    await expect.poll(relay.endedBy).toBe('')
  })
})
