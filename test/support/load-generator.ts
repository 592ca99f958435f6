import { setTimeout as wait } from 'node:timers/promises'
import { CREATED, LISTED, SLOW, SLOW_MS, objectNamed } from './load-answers.ts'
import { ClosedBefore, LoadConnections, type LoadRequest, type LoadTarget, type Way } from './load-connections.ts'
import type { LoadFigures } from './load-figures.ts'
import { holdSession } from './load-session.ts'

/** How long a watch that was broken off, or a person whose session ended, waits before the next. */
const PAUSE_MS = 200
const REQUEST_TIMEOUT_MS = 60_000
/** Of so many requests one goes out on a connection of its own over HTTP/1.1, and one so over HTTP/2. */
const ANEW_EVERY = 20
const WRITE_EVERY = 5
const SLOW_EVERY = 25

export interface LoadOptions extends LoadTarget {
  /** Names of sockets, which are asked in turn. */
  readonly sockets: readonly string[]
  readonly requestsPerSecond: number
  /** On a machine that cannot keep up the rate falls, rather than that more requests than these pile up. */
  readonly maxUnderWay: number
  readonly watches: number
  readonly sessions: number
}

/**
 * Requests, watches and sessions at a steady rate, half over HTTP/1.1 and half over HTTP/2. Requests are sent when they are
 * due, whether those before were answered or not. What ends is opened again.
 */
export class LoadGenerator {
  readonly figures: LoadFigures
  /** Resolves once every watch and every session is open, and requests are being sent. */
  readonly steady: Promise<void>
  readonly #options: LoadOptions
  readonly #connections: LoadConnections
  readonly #leave = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  #requestsUnderWay = 0
  #timer: NodeJS.Timeout | null = null
  #path = 0

  constructor(options: LoadOptions) {
    this.#options = options
    this.#connections = new LoadConnections(options)
    this.figures = {
      startedAtMs: 0,
      requests: 0,
      unsent: 0,
      retried: 0,
      failures: [],
      answers: [],
      created: [],
      told: this.#connections.told,
      watches: { open: 0, opened: 0, events: 0, lost: 0, endedCleanly: 0, brokenOff: [], absencesMs: [] },
      sessions: { open: 0, opened: 0, echoes: 0, lost: 0, endings: [] },
    }
    const { watches, sessions } = options
    const opened = [
      ...Array.from({ length: watches }, (_, index) => this.#keep((first) => this.#watches(index, first))),
      ...Array.from({ length: sessions }, () => this.#keep((first) => this.#sessions(first))),
    ]
    this.steady = Promise.all(opened).then(() => {
      Object.assign(this.figures, { startedAtMs: Date.now() })
      if (!this.#left()) this.#send()
    })
  }

  /** Resolves when what is under way is over. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#leave.abort()
    await Promise.allSettled(this.#underWay)
    this.#connections.close()
  }

  #left(): boolean {
    return this.#leave.signal.aborted
  }

  /** Sends what is due, and comes again when the next request is. */
  #send(): void {
    const { figures } = this
    const { requestsPerSecond } = this.#options
    const dueAtMs = (index: number): number => figures.startedAtMs + (index * 1_000) / requestsPerSecond
    let index = figures.requests + figures.unsent
    for (; dueAtMs(index) <= Date.now(); index += 1) {
      if (this.#requestsUnderWay >= this.#options.maxUnderWay) figures.unsent += 1
      else {
        figures.requests += 1
        this.#track(this.#request(index, dueAtMs(index)))
      }
    }
    this.#timer = setTimeout(
      () => {
        this.#send()
      },
      Math.max(1, dueAtMs(index) - Date.now()),
    )
  }

  async #request(index: number, dueAtMs: number): Promise<void> {
    const { figures } = this
    const way = wayOf(index)
    const name = `object-${index}`
    const request = this.#requestOf(index, way, name)
    let answer = ''
    const receiver = { opened: () => undefined, data: (chunk: string) => (answer += chunk) }
    this.#requestsUnderWay += 1
    try {
      for (;;) {
        try {
          await this.#connections.send(way, request, receiver, AbortSignal.timeout(REQUEST_TIMEOUT_MS))
          break
        } catch (error) {
          if (!(error instanceof ClosedBefore)) throw error
          figures.retried += 1
        }
      }
      if (answer !== (request.method === 'POST' ? request.body : LISTED)) throw new Error(`answered ${answer}`)
      if (request.method === 'POST') figures.created.push(name)
      const isSlow = request.path.endsWith(SLOW)
      figures.answers.push({ dueAtMs, tookMs: Date.now() - dueAtMs - (isSlow ? SLOW_MS : 0) })
    } catch (error) {
      figures.failures.push({ atMs: Date.now(), what: `${request.method} over ${way}: ${String(error)}` })
    } finally {
      this.#requestsUnderWay -= 1
    }
  }

  #requestOf(index: number, way: Way, name: string): LoadRequest {
    // A POST on a connection of HTTP/1.1 that was idle is the one thing that nobody may send again.
    if (index % WRITE_EVERY === 0 && way !== 'h1')
      return { method: 'POST', path: this.#resource(CREATED), body: objectNamed(name) }
    const isSlow = index % SLOW_EVERY === SLOW_EVERY - 1
    return { method: 'GET', path: this.#resource(`pods?${isSlow ? SLOW : 'limit=500'}`), body: '' }
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }

  /** Does it until the load ends; resolves when it is open for the first time. */
  #keep(go: (opened: () => void) => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#track(go(resolve))
    })
  }

  #resource(rest: string): string {
    const { sockets } = this.#options
    return `/sockets/${sockets[this.#path++ % sockets.length] ?? ''}/api/v1/namespaces/default/${rest}`
  }

  async #pause(): Promise<void> {
    await wait(PAUSE_MS, null, { signal: this.#leave.signal }).catch(() => undefined)
  }

  /** One watch after the other. */
  async #watches(index: number, opened: () => void): Promise<void> {
    const { watches } = this.figures
    const way = index % 2 === 0 ? 'h2' : 'h1'
    let endedAtMs = 0
    while (!this.#left()) {
      const watch = { isOpen: false }
      let expected = 0
      let rest = ''
      const receiver = {
        opened: () => {
          watch.isOpen = true
          watches.open += 1
          watches.opened += 1
          if (endedAtMs > 0) watches.absencesMs.push(Date.now() - endedAtMs)
          opened()
        },
        data: (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) {
            const at = Number(/"index":(\d+)/.exec(line)?.[1])
            watches.events += 1
            if (at !== expected) watches.lost += 1
            expected = at + 1
          }
        },
      }
      try {
        await this.#connections.watch(way, this.#resource('pods?watch=1'), receiver, this.#leave.signal)
        watches.endedCleanly += 1
      } catch (error) {
        if (!this.#left() && !(error instanceof ClosedBefore)) {
          watches.brokenOff.push({ atMs: Date.now(), what: `${way}: ${String(error)}` })
          await this.#pause()
        }
      }
      if (watch.isOpen) {
        watches.open -= 1
        endedAtMs = Date.now()
      }
    }
  }

  /** One session after the other. */
  async #sessions(opened: () => void): Promise<void> {
    const { sessions } = this.figures
    while (!this.#left()) {
      const session = { isOpen: false }
      const receiver = {
        opened: () => {
          session.isOpen = true
          sessions.open += 1
          sessions.opened += 1
          opened()
        },
        echoed: (lost: number) => {
          sessions.echoes += 1
          sessions.lost += lost
        },
      }
      const path = this.#resource('pods/web/exec?command=sh&stdin=true&stdout=true')
      const what = await holdSession(this.#options, path, receiver, this.#leave.signal)
      if (session.isOpen) sessions.open -= 1
      if (!this.#left()) sessions.endings.push({ atMs: Date.now(), what })
      await this.#pause()
    }
  }
}

function wayOf(index: number): Way {
  if (index % ANEW_EVERY === 0) return 'h1 anew'
  if (index % ANEW_EVERY === ANEW_EVERY / 2) return 'h2 anew'
  return index % 2 === 0 ? 'h1' : 'h2'
}
