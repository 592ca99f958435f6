import type { AsciicastEvent } from '../audit/playback/asciicast-reader.ts'

/** What a person may want while a recording plays. */
export type PlaybackKey = 'pause' | 'forward' | 'back' | 'faster' | 'slower' | 'quit'

/** What tells keys, and how time goes by. */
export interface PlaybackKeys {
  /** Resolves to the next key, or to null when so many milliseconds went by without one; null waits for a key alone. */
  next(waitMs: number | null): Promise<PlaybackKey | null>
  /** A key that came meanwhile, or null. */
  pressed(): PlaybackKey | null
  /** Milliseconds of a monotonic clock. */
  now(): number
}

/** Where a recording is shown. */
export interface PlaybackScreen {
  /** Resolves when more may be written. */
  show(event: AsciicastEvent): Promise<void>
  /** Empties it, to begin anew. */
  clear(): Promise<void>
}

export interface PlaybackOptions {
  /** How many times as fast as recorded. */
  readonly speed: number
  /** The longest pause, in recorded milliseconds; Infinity for all as they were. */
  readonly idleLimitMs: number
  /** What was before is shown at once. */
  readonly fromMs: number
}

/** What is later, as after a suspension, is not made up for. */
const MAX_LATE_MS = 1_000
/** How far an arrow key goes. */
const STEP_MS = 5_000
const FASTEST = 64
const SLOWEST = 1 / 16

/**
 * Plays a recording. Resolves at its end, or when a person ends it, to where that was in recorded milliseconds.
 *
 * @param open the events from the beginning; called again to go back.
 */
export async function play(
  open: () => Promise<AsyncIterable<AsciicastEvent>>,
  screen: PlaybackScreen,
  keys: PlaybackKeys,
  { speed: firstSpeed, idleLimitMs, fromMs }: PlaybackOptions,
): Promise<{ readonly atMs: number; readonly quit: boolean }> {
  const state = { speed: firstSpeed, paused: false, atMs: fromMs }
  for (;;) {
    const outcome = await pass()
    if (outcome !== 'again') return { atMs: state.atMs, quit: outcome === 'quit' }
    await screen.clear()
  }

  /** Once from the beginning to where it is left. */
  async function pass(): Promise<'end' | 'again' | 'quit'> {
    // When `atMs` was reached, or would have been had everything taken no time: what is late makes the next wait shorter.
    let reachedAt = keys.now()
    for await (const event of await open()) {
      if (event.timeMs > state.atMs) state.atMs = Math.max(state.atMs, event.timeMs - idleLimitMs)
      for (let key = keys.pressed(); key !== null || event.timeMs > state.atMs; key = await waitUntil(event.timeMs)) {
        if (key === 'quit') return 'quit'
        if (key === 'back') {
          state.atMs = Math.max(0, state.atMs - STEP_MS)
          return 'again'
        }
        if (key !== null) obey(key)
        if (event.timeMs <= state.atMs) break
      }
      await screen.show(event)
    }
    return 'end'

    async function waitUntil(timeMs: number): Promise<PlaybackKey | null> {
      const { paused, speed } = state
      const dueAt = reachedAt + (timeMs - state.atMs) / speed
      const key = await keys.next(paused ? null : Math.max(0, dueAt - keys.now()))
      const now = keys.now()
      if (key === null && !paused) {
        state.atMs = timeMs
        reachedAt = Math.max(dueAt, now - MAX_LATE_MS)
      } else {
        if (!paused) state.atMs = Math.min(timeMs, state.atMs + (now - reachedAt) * speed)
        reachedAt = now
      }
      return key
    }
  }

  function obey(key: Exclude<PlaybackKey, 'quit' | 'back'>): void {
    if (key === 'pause') state.paused = !state.paused
    else if (key === 'forward') state.atMs += STEP_MS
    else if (key === 'faster') state.speed = Math.min(state.speed * 2, Math.max(FASTEST, firstSpeed))
    else state.speed = Math.max(state.speed / 2, Math.min(SLOWEST, firstSpeed))
  }
}
