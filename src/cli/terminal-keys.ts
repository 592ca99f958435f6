import type { ReadStream } from 'node:tty'
import type { PlaybackKey, PlaybackKeys } from './playback.ts'

/** Keys as terminals send them; others are passed over. */
const KEYS: ReadonlyMap<string, PlaybackKey> = new Map([
  [' ', 'pause'],
  ['q', 'quit'],
  ['\x03', 'quit'],
  ['\x1b[A', 'faster'],
  ['\x1bOA', 'faster'],
  ['\x1b[B', 'slower'],
  ['\x1bOB', 'slower'],
  ['\x1b[C', 'forward'],
  ['\x1bOC', 'forward'],
  ['\x1b[D', 'back'],
  ['\x1bOD', 'back'],
])
const KEY = /\x1b[[O][^@-~]*[@-~]|[^]/g // eslint-disable-line no-control-regex -- keys are sent as control characters
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const MAX_WAITING_KEYS = 64
/** Node's timers hold no more. */
const LONGEST_WAIT_MS = 2 ** 31 - 1

/**
 * The keys of a terminal, which is read key by key until `close` puts it back; without a terminal there are none. A
 * signal that would end the process counts as the key that ends.
 */
export function openKeys(input: ReadStream | null): PlaybackKeys & { close(): void } {
  const waiting: PlaybackKey[] = []
  let wake: (() => void) | null = null
  const press = (key: PlaybackKey): void => {
    if (waiting.length < MAX_WAITING_KEYS) waiting.push(key)
    wake?.()
  }
  const onData = (chunk: Buffer): void => {
    for (const [text] of chunk.toString('latin1').matchAll(KEY)) {
      const key = KEYS.get(text)
      if (key !== undefined) press(key)
    }
  }
  const onSignal = (): void => {
    press('quit')
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  input?.setRawMode(true)
  input?.on('data', onData)

  return {
    now: () => performance.now(),
    pressed: () => waiting.shift() ?? null,
    next: async (waitMs) => {
      if (waiting.length === 0) {
        let timer: NodeJS.Timeout | undefined
        await new Promise<void>((resolve) => {
          wake = resolve
          if (waitMs !== null) timer = setTimeout(resolve, Math.min(waitMs, LONGEST_WAIT_MS))
        })
        clearTimeout(timer)
        wake = null
      }
      return waiting.shift() ?? null
    },
    close: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal)
      input?.off('data', onData)
      input?.setRawMode(false)
      input?.pause()
    },
  }
}
