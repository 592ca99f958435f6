/** What became of a load so far. Times are in milliseconds, those of the day since the epoch. */
export interface LoadFigures {
  /** When the first request was due. */
  readonly startedAtMs: number
  /** Plain requests that were sent. */
  requests: number
  /** Plain requests that were never sent, since so many others were under way when their time came. */
  unsent: number
  /** Of those sent, how many went out once more, since the connection that they went out on was being closed just then. */
  retried: number
  /** What went wrong with each plain request that was not answered with what was expected. */
  readonly failures: LoadEvent[]
  /** Of the others: when each was due, and how long after that its answer was whole, less what the API server took on purpose. */
  readonly answers: { readonly dueAtMs: number; readonly tookMs: number }[]
  /** Names of the objects whose creation was confirmed. */
  readonly created: string[]
  /** How often a connection that is kept was to be taken leave of. */
  readonly told: { readonly connectionClose: number; readonly goaway: number }
  readonly watches: {
    open: number
    opened: number
    events: number
    /** Events that were left out between two others of one watch. */
    lost: number
    endedCleanly: number
    readonly brokenOff: LoadEvent[]
    /** From the end of each that ended to the first byte of the next. */
    readonly absencesMs: number[]
  }
  readonly sessions: {
    open: number
    opened: number
    /** Keystrokes that came back. */
    echoes: number
    /** Keystrokes that did not come back, though a later one did. */
    lost: number
    /** What each that ended said last. */
    readonly endings: LoadEvent[]
  }
}

interface LoadEvent {
  readonly atMs: number
  readonly what: string
}

/** Plain requests over a time of a load. */
export interface RequestSummary {
  /** Requests a second that were answered. */
  readonly rate: number
  readonly answered: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
}

/** Sums up the plain requests that were due within the time; latencies count from when each was due. */
export function summarize(figures: LoadFigures, fromMs: number, toMs: number): RequestSummary {
  const took = figures.answers
    .filter(({ dueAtMs }) => dueAtMs >= fromMs && dueAtMs < toMs)
    .map(({ tookMs }) => tookMs)
    .toSorted((a, b) => a - b)
  return {
    rate: (took.length * 1_000) / (toMs - fromMs),
    answered: took.length,
    failed: figures.failures.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length,
    p50Ms: quantile(took, 0.5),
    p99Ms: quantile(took, 0.99),
    longestMs: quantile(took, 1),
  }
}

/** Of values in ascending order; NaN without any. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil((sorted.length - 1) * share)] ?? NaN
}

/** One line for people, up to `untilMs`. */
export function renderFigures(figures: LoadFigures, untilMs: number): string {
  const { requests, unsent, retried, failures, watches, sessions, told, startedAtMs } = figures
  const { rate, p50Ms, p99Ms, longestMs } = summarize(figures, startedAtMs, untilMs)
  return (
    `${requests} requests in ${((untilMs - startedAtMs) / 1_000).toFixed(1)} s, ${unsent} unsent, ${rate.toFixed(0)} answered a second, ` +
    `${failures.length} failed, ${retried} sent again, p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms, longest ${longestMs.toFixed(0)} ms; ` +
    `told ${told.connectionClose} Connection: close, ${told.goaway} GOAWAY; ` +
    `watches opened ${watches.opened}, ended cleanly ${watches.endedCleanly}, broken off ${watches.brokenOff.length}, events ${watches.events}, lost ${watches.lost}; ` +
    `sessions opened ${sessions.opened}, ended ${sessions.endings.length}, keystrokes ${sessions.echoes}, lost ${sessions.lost}`
  )
}
