import { performance } from 'node:perf_hooks'
import type {
  PortForwardObserver,
  RemoteCommandObserver,
  RemoteCommandStream,
} from '../../kube/session/session-decoder.ts'
import { CastWriter } from './cast-writer.ts'
import { redactCommand } from './command-line.ts'
import { CopyAccount, describeFile } from './copy-account.ts'
import { ExitStatusReader } from './exit-status.ts'
import { describeConnection, ForwardAccount } from './forward-account.ts'
import { GatheredBytes, MAX_GATHERED_BYTES } from './gathered-bytes.ts'
import { InputMasking } from './input-masking.ts'
import { PipedInput } from './piped-input.ts'
import { PipedStream, type PipedStreamObserver } from './piped-stream.ts'
import type { JsonEscaping } from './json-escaping.ts'
import type { CopiedFile, RecordingManifest } from './recording-manifest.ts'
import type { RecordingStore, RecordingWriter } from '../recording-store/recording-store.ts'
import type { SessionFacts } from './session-facts.ts'
import type { SessionRecorder } from './session-recorder.ts'
import { archiveOffset } from './archive-offset.ts'
import { TerminalSizeReader } from './terminal-size.ts'
import { TextScanner } from './text-scanner.ts'
import { ECHO_WINDOW_MS, TypedInput } from './typed-input.ts'

export interface RecorderOptions {
  readonly store: RecordingStore
  readonly facts: SessionFacts
  /** Whether what is typed, or piped in, is recorded. */
  readonly input: boolean
  /** May be shared by all recorders. */
  readonly escaping: JsonEscaping
  /** What is masked in input besides common secrets. */
  readonly maskPatterns: readonly RegExp[]
  /** Called at most once: from now on, something of the session is not kept. */
  readonly onFailure: (error: Error) => void
  /** Called when the recorder is not backlogged any more. */
  readonly onDrain: () => void
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

/**
 * Opens a session's recording. Whoever opens it finishes it.
 *
 * @throws when the store cannot keep it.
 */
export async function openRecorder(options: RecorderOptions): Promise<SessionRecorder> {
  const { store, input } = options
  const facts = { ...options.facts, command: redactCommand(options.facts.command) }
  const opening: RecordingManifest = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Recording',
    session: facts,
    state: 'recording',
    outcome: null,
    incomplete: '',
    streams: {},
    elided: [],
    input: { recorded: input, maskedCharacters: 0 },
    connections: [],
    droppedConnections: 0,
    files: [],
    droppedFiles: 0,
    encryption: 'none',
    chunks: [],
  }
  // The store may already fail while it opens the recording.
  const opened: { recorder: Recorder | null; failure: Error | null } = { recorder: null, failure: null }
  const writer = await store.create(
    opening,
    (error) => {
      opened.failure = error
      opened.recorder?.fail(error)
    },
    () => opened.recorder?.drained(),
  )
  const recorder = new Recorder(options, opening, writer)
  opened.recorder = recorder
  if (opened.failure !== null) recorder.fail(opened.failure)
  return recorder
}

/** Output, and input that is piped in, is gathered for so long at most, in milliseconds. */
const GATHER_MS = 10

/** The asciicast begins so long after the session at the latest, in milliseconds. */
const HEADER_MS = 500

/** Characters of the command that stand in the asciicast's title. */
const MAX_TITLE_CHARS = 256

type Output = 'stdout' | 'stderr'
type Counted = Output | 'stdin'

class Recorder implements SessionRecorder {
  readonly remoteCommand: RemoteCommandObserver
  readonly portForward: PortForwardObserver

  readonly #options: RecorderOptions
  #opening: RecordingManifest
  readonly #writer: RecordingWriter
  readonly #cast: CastWriter
  readonly #now: () => number
  readonly #startedAt: number
  readonly #streams: Partial<Record<Counted, number>> = {}
  readonly #sizes = new TerminalSizeReader()
  #exitStatus: ExitStatusReader
  readonly #forward = new ForwardAccount()
  readonly #masking: InputMasking
  /** For a session with a terminal; each tells its streams' text. */
  readonly #screen = { stdout: new TextScanner(false), stderr: new TextScanner(false) }
  readonly #typed: TypedInput | null
  /** For a session without. */
  readonly #piped: Record<Counted, PipedStream> | null
  readonly #pipedInput: PipedInput
  readonly #pipedText = new TextDecoder()
  readonly #endedStreams = new Set<RemoteCommandStream>()
  readonly #copies = new CopyAccount()
  /** What is gathered, of one stream, and when its first byte came. */
  readonly #gathered = new GatheredBytes()
  #gatheredStream: Counted = 'stdout'
  #atMs = 0
  #timer: NodeJS.Timeout | null = null
  #dueMs = 0
  #storeFull = false
  #incomplete = ''
  #failed = false
  #finished: Promise<string> | null = null

  constructor(options: RecorderOptions, opening: RecordingManifest, writer: RecordingWriter) {
    const { input, maskPatterns, escaping } = options
    const facts = opening.session
    this.#options = options
    this.#opening = opening
    this.#writer = writer
    this.#now = options.now ?? (() => performance.now())
    this.#startedAt = this.#now()
    const command = facts.command.join(' ').slice(0, MAX_TITLE_CHARS)
    this.#cast = new CastWriter({
      append: (line) => {
        if (!this.#failed && !writer.append(line)) this.#storeFull = true
      },
      escaping,
      startedAtMs: facts.startedAtMs,
      title: `${facts.kind} ${facts.namespace}/${facts.pod}${facts.container === '' ? '' : `/${facts.container}`}`,
      command,
    })
    this.#exitStatus = new ExitStatusReader(facts.subprotocol)
    this.#masking = new InputMasking(maskPatterns)
    const writeInput = (text: string): void => {
      this.#cast.event(this.#atMs, 'i', text)
    }
    this.#typed = facts.tty && input ? new TypedInput(this.#masking, writeInput) : null
    this.#pipedInput = new PipedInput(this.#masking, writeInput)
    this.#piped = facts.tty ? null : this.#pipedStreams()
    this.remoteCommand = {
      wanted: new Set<RemoteCommandStream>([
        'stdout',
        'stderr',
        'error',
        'resize',
        ...(input || (facts.stdin && !facts.tty) ? (['stdin'] as const) : []),
      ]),
      passed: (stream, byteLength) => {
        if (stream === 'stdin' || stream === 'stdout' || stream === 'stderr') {
          this.#streams[stream] = (this.#streams[stream] ?? 0) + byteLength
        }
      },
      data: this.#guard((stream: RemoteCommandStream, chunk: Uint8Array) => {
        this.#data(stream, chunk)
      }),
      ended: this.#guard((stream: RemoteCommandStream) => {
        this.#end(stream)
      }),
    }
    this.portForward = {
      opened: this.#guard((connection: number, port: number) => {
        this.#forward.opened(connection, port, this.#elapsed())
      }),
      passed: (connection, direction, byteLength) => {
        this.#forward.passed(connection, direction, byteLength)
      },
      failed: this.#guard((connection: number, message: string) => {
        this.#forward.failed(connection, message)
      }),
      closed: this.#guard((connection: number) => {
        const atMs = this.#elapsed()
        const closed = this.#forward.closed(connection, atMs)
        if (closed !== undefined) this.#cast.event(atMs, 'm', describeConnection(connection, closed))
      }),
    }
    this.#wait(HEADER_MS)
  }

  get backlogged(): boolean {
    return this.#storeFull && !this.#failed && this.#finished === null
  }

  agreed(subprotocol: string): void {
    this.#opening = { ...this.#opening, session: { ...this.#opening.session, subprotocol } }
    this.#exitStatus = new ExitStatusReader(subprotocol)
  }

  incomplete(reason: string): void {
    if (this.#finished !== null || this.#incomplete !== '') return
    this.#incomplete = reason
    this.#cast.event(this.#elapsed(), 'm', `Incomplete from here on: ${reason}`)
  }

  follow(listener: (line: string | null) => void): () => void {
    this.#flush()
    return this.#cast.follow(this.#elapsed(), listener)
  }

  finish(endedBy: string): Promise<string> {
    this.#finished ??= this.#finish(endedBy)
    return this.#finished
  }

  fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#options.onFailure(error)
  }

  drained(): void {
    this.#storeFull = false
    this.#options.onDrain()
  }

  async #finish(endedBy: string): Promise<string> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const stream of ['stdin', 'stdout', 'stderr'] as const) this.#end(stream)
    const atMs = this.#elapsed()
    for (const [connection, account] of this.#forward.unlisted) {
      this.#cast.event(atMs, 'm', describeConnection(connection, account))
    }
    if (endedBy !== '') this.#cast.event(atMs, 'm', `Ended: ${endedBy}`)
    this.#cast.end()
    const { exitCode, message } = this.#exitStatus.status
    return await this.#writer.finish({
      ...this.#opening,
      state: 'complete',
      outcome: { endedAtMs: this.#opening.session.startedAtMs + Math.round(atMs), exitCode, message, endedBy },
      incomplete: this.#incomplete,
      streams: this.#streams,
      elided: this.#piped === null ? [] : Object.values(this.#piped).flatMap(({ elided }) => elided),
      input: { recorded: this.#options.input, maskedCharacters: this.#masking.maskedCharacters },
      connections: this.#forward.listed,
      droppedConnections: this.#forward.dropped,
      files: this.#copies.listed,
      droppedFiles: this.#copies.dropped,
    })
  }

  #data(stream: RemoteCommandStream, chunk: Uint8Array): void {
    if (this.#endedStreams.has(stream)) return
    if (stream === 'stdout' || stream === 'stderr' || (stream === 'stdin' && this.#piped !== null)) {
      this.#gather(stream, chunk)
      return
    }
    this.#flush()
    this.#atMs = this.#elapsed()
    if (stream === 'error') this.#exitStatus.push(chunk)
    else if (stream === 'resize') {
      const size = this.#sizes.push(chunk)
      if (size !== null) this.#cast.resize(this.#atMs, size)
    } else this.#typed?.typed(chunk, this.#atMs)
    this.#waitForMore()
  }

  #gather(stream: Counted, chunk: Uint8Array): void {
    const gathered = this.#gathered
    if (stream !== this.#gatheredStream || !gathered.fits(chunk.length)) this.#flush()
    if (gathered.isEmpty) {
      this.#gatheredStream = stream
      this.#atMs = this.#elapsed()
      if (chunk.length >= MAX_GATHERED_BYTES) {
        this.#tell(stream, chunk)
        this.#waitForMore()
        return
      }
      this.#wait(GATHER_MS)
    }
    gathered.add(chunk)
  }

  #flush(): void {
    if (!this.#gathered.isEmpty) this.#tell(this.#gatheredStream, this.#gathered.take())
  }

  #tell(stream: Counted, chunk: Uint8Array): void {
    if (this.#piped !== null) this.#piped[stream].push(chunk)
    else if (stream !== 'stdin') {
      const { text } = this.#screen[stream].push(chunk)
      if (text.length > 0) this.#output(stream, text)
    }
  }

  #output(stream: Output, text: Uint8Array): void {
    this.#typed?.shown(text, this.#atMs)
    this.#cast.output(this.#atMs, text, stream)
  }

  #end(stream: RemoteCommandStream): void {
    if (this.#endedStreams.has(stream)) return
    this.#flush()
    this.#endedStreams.add(stream)
    if (stream === 'error' || stream === 'resize') return
    this.#atMs = this.#elapsed()
    this.#piped?.[stream].end()
    if (stream === 'stdin') {
      this.#typed?.end()
      this.#pipedInput.end()
    } else if (this.#piped === null) {
      const text = this.#screen[stream].end()
      if (text.length > 0) this.#output(stream, text)
    }
  }

  #pipedStreams(): Record<Counted, PipedStream> {
    const { command, stdin } = this.#opening.session
    const resumedAt = archiveOffset(command)
    const isInput = this.#options.input && stdin
    return {
      stdin: new PipedStream('stdin', this.#pipedObserver('stdin'), isInput),
      stdout: new PipedStream('stdout', this.#pipedObserver('stdout'), true, resumedAt),
      stderr: new PipedStream('stderr', this.#pipedObserver('stderr'), true),
    }
  }

  #pipedObserver(stream: Counted): PipedStreamObserver {
    return {
      text: (text) => {
        if (stream === 'stdin') this.#pipedInput.push(this.#pipedText.decode(text))
        else this.#output(stream, text)
      },
      note: (sentence) => {
        this.#cast.event(this.#atMs, 'm', sentence)
      },
      entry: (entry) => {
        const file: CopiedFile = { direction: stream === 'stdin' ? 'upload' : 'download', ...entry }
        this.#cast.event(this.#atMs, 'm', describeFile(file))
        this.#copies.copied(file)
      },
    }
  }

  /** Nothing came for a while: tells what was gathered, and what waits for more. */
  #pause(): void {
    this.#flush()
    this.#cast.begin()
    this.#atMs = this.#elapsed()
    this.#typed?.expire(this.#atMs)
    if (this.#piped !== null) for (const stream of Object.values(this.#piped)) if (stream.waits) stream.pause()
    this.#waitForMore()
  }

  #waitForMore(): void {
    if (this.#piped !== null && Object.values(this.#piped).some(({ waits }) => waits)) this.#wait(GATHER_MS)
    else if (this.#typed?.waits === true) this.#wait(ECHO_WINDOW_MS)
  }

  #wait(ms: number): void {
    const dueMs = this.#elapsed() + ms
    if (this.#finished !== null || (this.#timer !== null && this.#dueMs <= dueMs)) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#dueMs = dueMs
    const pause = this.#guard(() => {
      this.#timer = null
      this.#pause()
    })
    this.#timer = setTimeout(pause, ms).unref()
  }

  /** An observer must not throw: what fails in here is a failure of the recording. */
  #guard<Arguments extends unknown[]>(observe: (...args: Arguments) => void): (...args: Arguments) => void {
    return (...args) => {
      if (this.#finished !== null) return
      try {
        observe(...args)
      } catch (error) {
        this.fail(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  /** Milliseconds since the start. */
  #elapsed(): number {
    return this.#now() - this.#startedAt
  }
}
