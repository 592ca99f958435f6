/**
 * Begins to count. What comes back tells the CPU time that this thread has taken since, in milliseconds: unlike the time
 * of a clock, it does not grow with what else the machine has to do.
 */
export function cpuStopwatch(): () => number {
  const begun = process.threadCpuUsage()
  return () => {
    const { user, system } = process.threadCpuUsage(begun)
    return (user + system) / 1000
  }
}
