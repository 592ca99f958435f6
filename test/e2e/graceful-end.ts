import { setTimeout as sleep } from 'node:timers/promises'
import type { Connector } from '../../sandbox/connector.ts'

/** Error, in pino's numbers. */
const errorLevel = 50

/**
 * Asks a connector to stop. A handle that was left open keeps its process from ending by itself; it is then killed.
 *
 * @returns what was wrong with the end, one line each.
 */
export async function stopWithin(connector: Pick<Connector, 'pid' | 'stop'>, timeoutMs: number): Promise<string[]> {
  const late = new AbortController()
  const stopped = connector.stop()
  const timeout = sleep(timeoutMs, null, { signal: late.signal }).catch(() => null)
  const code = await Promise.race([stopped, timeout])
  late.abort()
  if (code === null) {
    process.kill(connector.pid, 'SIGKILL')
    await stopped
    return [`it did not end within ${timeoutMs} ms and was killed`]
  }
  return code === 0 ? [] : [`it ended with ${code}`]
}

/** Lines of a connector's log that are no log lines, such as Node's warnings, and those that tell of errors. */
export function complaintsOf(log: string): string[] {
  return log.split('\n').filter((line) => {
    if (line === '') return false
    try {
      return (JSON.parse(line) as { level: number }).level >= errorLevel
    } catch {
      return true
    }
  })
}
