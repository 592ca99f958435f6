/** The longest time that a timer of Node's can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * Calls a function after so many milliseconds, however many. Does not keep the process alive. Returns the function that
 * calls it off.
 */
export function after(waitMs: number, act: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
    timer = setTimeout(() => {
      if (leftMs > stepMs) wait(leftMs - stepMs)
      else act()
    }, stepMs).unref()
  }
  wait(Math.max(0, waitMs))
  return () => {
    clearTimeout(timer)
  }
}
