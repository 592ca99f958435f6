/*
 * Preloaded into a program that is measured: it says over its IPC channel what it has used so far, and ends with
 * whoever started it.
 */

/** What a process used since it started. */
export interface Usage {
  /** User and system time of all its threads, in seconds. */
  readonly cpuSeconds: number
  /** Resident, in bytes. */
  readonly rss: number
}

process.on('message', (message) => {
  if (message === 'settle') globalThis.gc?.()
  if (message !== 'usage' && message !== 'settle') return
  const { user, system } = process.cpuUsage()
  const usage: Usage = { cpuSeconds: (user + system) / 1e6, rss: process.memoryUsage.rss() }
  process.send?.(usage)
})
process.once('disconnect', () => process.exit())
process.channel?.unref()
