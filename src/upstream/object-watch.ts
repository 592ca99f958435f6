import { setTimeout as sleep } from 'node:timers/promises'
import { StatusError } from '../kube/status.ts'
import { callCluster } from './eks/cluster-call.ts'
import { JsonLines } from './json-lines.ts'
import type { Upstream } from './upstream.ts'

/** How many objects are kept. A cluster with more is not read at all. */
const MAX_OBJECTS = 2_000
/** The longest object that is kept with its content, in characters of JSON. etcd holds some 1.5 MB. */
const MAX_OBJECT_LENGTH = 64 * 1024
/** So few that a page of the longest objects can be read, in objects and in bytes. */
const PAGE_SIZE = 20
const MAX_PAGE_BYTES = 40 * 1024 * 1024
/** The longest line of a watch, in bytes. */
const MAX_EVENT_BYTES = 4 * 1024 * 1024
/** A watch is begun anew after this time, so that a way that has gone dead without a word is noticed soon. */
const WATCH_SECONDS = 60
/** How much longer the server may take to end it, in milliseconds. */
const WATCH_GRACE_MS = 10_000
/** Pauses between attempts, in milliseconds: they double up to the greatest, and up to half of each is left to chance. */
const FIRST_PAUSE_MS = 500
const GREATEST_PAUSE_MS = 30_000
/** A watch that held so long was no failure, in milliseconds. */
const HELD_MS = 5_000

/** Names of custom resources and of their namespaces, which is empty for none (RFC 1123). They come into paths and rules. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const NAMESPACE = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$/

/** A Kubernetes object, as far as a watch has to know it. */
export interface WatchedObject {
  /** Empty for one of the cluster scope. */
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  /** Changes with the content; 0 when it has none. */
  readonly generation: number
  /** RFC 3339. */
  readonly createdAt: string
  /** As it came, without `managedFields`; null when it is longer than {@link MAX_OBJECT_LENGTH}. */
  readonly content: Readonly<Record<string, unknown>> | null
}

/** How well a watch knows what there is. */
export interface WatchState {
  /** False until all objects were read once. */
  readonly known: boolean
  /** Why the objects cannot be read or watched now, in one phrase for operators; empty when that is not so. */
  readonly problem: string
  /** When what is known was last known to be all, in milliseconds since the epoch. */
  readonly currentAtMs: number
}

export interface ObjectWatchOptions {
  readonly upstream: Pick<Upstream, 'send'>
  /** Path of the collection: `/apis/GROUP/VERSION/PLURAL`. */
  readonly target: string
  /** Told of all objects there are, when they were read whole and at each change. */
  readonly onChange: (objects: readonly WatchedObject[]) => void
  /** Told when it begins or ceases to know what there is. */
  readonly onState: (state: WatchState) => void
}

/** There is a gap between what is known and what can be watched: all has to be read again, which is no failure. */
class GapError extends Error {
  override readonly name = 'GapError'
}

/**
 * Keeps all objects of one kind: reads them, then watches, and reads them anew whenever a watch ends in any way but the
 * agreed one. What was known stays known while the API server is away.
 *
 * @see Kubernetes API concepts, "Efficient detection of changes"; k8s.io/client-go `tools/cache/reflector.go`
 */
export class ObjectWatch {
  readonly #options: ObjectWatchOptions
  readonly #stopped = new AbortController()
  #objects = new Map<string, WatchedObject>()
  #state: WatchState = { known: false, problem: '', currentAtMs: Date.now() }
  #failures = 0
  #running: Promise<void> | null = null

  constructor(options: ObjectWatchOptions) {
    this.#options = options
  }

  get state(): WatchState {
    return this.#state
  }

  /** Goes on until {@link stop}. */
  start(): void {
    this.#running ??= this.#run(this.#stopped.signal)
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!this.#isStopped()) {
      try {
        let version = await this.#list(signal)
        while (!this.#isStopped()) version = await this.#watch(version, signal)
      } catch (error) {
        if (this.#isStopped()) return
        if (!(error instanceof GapError)) this.#note({ problem: describe(error) })
      }
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, GREATEST_PAUSE_MS)
      await sleep(longest * (1 - Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  #isStopped(): boolean {
    return this.#stopped.signal.aborted
  }

  /** Reads all objects, and gives back the version that they have together. */
  async #list(signal: AbortSignal): Promise<string> {
    const found = new Map<string, WatchedObject>()
    const { upstream, target } = this.#options
    let next = ''
    for (;;) {
      const page = `${target}?limit=${PAGE_SIZE}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`
      const call = { method: 'GET', target: page, maxAnswerBytes: MAX_PAGE_BYTES } as const
      const { statusCode, body, message } = await callCluster(upstream, call, signal)
      if (statusCode === 410) throw new GapError()
      if (statusCode !== 200) throw new Error(refusal('GET', target, statusCode, message))
      const { items, metadata } = readList(body)
      for (const item of items) {
        const object = readObject(item)
        found.set(keyOf(object), object)
      }
      if (found.size > MAX_OBJECTS) throw new Error(`GET ${target}: there are more than ${MAX_OBJECTS} objects`)
      const { continue: more, resourceVersion } = metadata
      if (typeof more === 'string' && more !== '') {
        next = more
        continue
      }
      if (typeof resourceVersion !== 'string' || resourceVersion === '') throw new Error(`GET ${target}: no version`)
      this.#objects = found
      this.#note({ known: true, ...(!this.#state.known && { problem: '' }) })
      this.#tell()
      return resourceVersion
    }
  }

  /** Follows changes until the agreed end, and gives back the version to go on from. */
  #watch(from: string, signal: AbortSignal): Promise<string> {
    const { upstream, target } = this.#options
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${encodeURIComponent(from)}`
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const lines = new JsonLines(MAX_EVENT_BYTES)
    const begunAtMs = Date.now()
    let version = from
    const exchange = upstream.send(
      { method: 'GET', target: `${target}?${query}`, headers: ['Accept', 'application/json'], bodyLength: 0 },
      {
        head: (statusCode) => {
          if (statusCode === 200) this.#note({ problem: '' })
          else fail(statusCode === 410 ? new GapError() : new Error(refusal('watch', target, statusCode, '')))
        },
        data: (chunk) => {
          try {
            const events = lines.push(chunk)
            if (events.length === 0) return true
            for (const event of events) version = this.#take(event)
            this.#failures = 0
            this.#note({})
            if (events.some(changes)) this.#tell()
          } catch (error) {
            fail(error)
          }
          return true
        },
        end: () => {
          // One that ends at once, again and again, must not be begun again at once.
          if (Date.now() - begunAtMs < HELD_MS) reject(new GapError())
          else {
            this.#failures = 0
            this.#note({})
            resolve(version)
          }
        },
        error: reject,
      },
      () => undefined,
    )
    const fail = (error: unknown): void => {
      exchange.abort()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const abort = (): void => {
      fail(signal.reason)
    }
    signal.addEventListener('abort', abort)
    const silent = setTimeout(
      () => {
        fail(new GapError())
      },
      WATCH_SECONDS * 1_000 + WATCH_GRACE_MS,
    ).unref()
    return promise.finally(() => {
      clearTimeout(silent)
      signal.removeEventListener('abort', abort)
    })
  }

  /** Takes one event of a watch, and gives back the version that it leads to. */
  #take(event: unknown): string {
    const { type, object: told } = asRecord(event, 'an event')
    if (type === 'ERROR') {
      const { code, message } = asRecord(told, 'a Status')
      if (code === 410) throw new GapError()
      throw new Error(refusal('watch', this.#options.target, code, message))
    }
    if (type === 'BOOKMARK') return versionOf(told)
    const object = readObject(told)
    if (type === 'DELETED') this.#objects.delete(keyOf(object))
    else if (type === 'ADDED' || type === 'MODIFIED') this.#objects.set(keyOf(object), object)
    else throw new Error(`watch ${this.#options.target}: an event of an unknown type`)
    if (this.#objects.size > MAX_OBJECTS) throw new GapError()
    return object.resourceVersion
  }

  #tell(): void {
    this.#options.onChange([...this.#objects.values()])
  }

  #note(change: Partial<WatchState>): void {
    const before = this.#state
    const current = change.problem === undefined || change.problem === ''
    this.#state = { ...before, ...change, ...(current && { currentAtMs: Date.now() }) }
    const { known, problem } = this.#state
    if (known !== before.known || problem !== before.problem) this.#options.onState(this.#state)
  }
}

function changes(event: unknown): boolean {
  return (event as { readonly type?: unknown }).type !== 'BOOKMARK'
}

function keyOf({ namespace, name }: Pick<WatchedObject, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`
}

function readList(body: unknown): { readonly items: readonly unknown[]; readonly metadata: Record<string, unknown> } {
  const { items, metadata } = asRecord(body, 'a list')
  if (!Array.isArray(items)) throw new Error('the API server did not answer with a list')
  return { items, metadata: asRecord(metadata, 'a list') }
}

function readObject(told: unknown): WatchedObject {
  const { metadata: whole, ...rest } = asRecord(told, 'an object')
  // Who wrote which field is the longest part of many an object, and nobody's concern here.
  const metadata = { ...asRecord(whole, 'an object'), managedFields: undefined }
  const {
    name,
    namespace = '',
    uid,
    resourceVersion,
    generation = 0,
    creationTimestamp = '',
  }: Record<string, unknown> = metadata
  if (
    typeof name !== 'string' ||
    !NAME.test(name) ||
    typeof namespace !== 'string' ||
    !NAMESPACE.test(namespace) ||
    typeof uid !== 'string' ||
    typeof resourceVersion !== 'string' ||
    typeof generation !== 'number' ||
    typeof creationTimestamp !== 'string'
  )
    throw new Error('the API server did not answer with an object')
  const content = { ...rest, metadata }
  const tooLong = JSON.stringify(content).length > MAX_OBJECT_LENGTH
  return {
    name,
    namespace,
    uid,
    resourceVersion,
    generation,
    createdAt: creationTimestamp,
    content: tooLong ? null : content,
  }
}

function versionOf(told: unknown): string {
  const { resourceVersion } = asRecord(asRecord(told, 'a bookmark')['metadata'], 'a bookmark')
  if (typeof resourceVersion !== 'string' || resourceVersion === '') throw new Error('a bookmark has no version')
  return resourceVersion
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`the API server did not answer with ${what}`)
  return value as Record<string, unknown>
}

function refusal(verb: string, target: string, code: unknown, message: unknown): string {
  const said = typeof message === 'string' && message !== '' ? `: ${message}` : ''
  return `${verb} ${target} answered ${String(code)}${said}`.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, 500)
}

function describe(error: unknown): string {
  if (error instanceof StatusError) return error.detail === '' ? error.message : `${error.message}: ${error.detail}`
  return error instanceof Error ? error.message : String(error)
}
