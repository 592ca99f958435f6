import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'

/** In /proc, of Linux on every platform that Node runs on. */
const TICKS_PER_SECOND = 100

/** What processes cost between two looks, in cores. */
export interface CoresUsed {
  look(): Readonly<Record<string, number>>
}

/** Looks now, and again at each {@link CoresUsed.look}. */
export function watchCores(pids: Readonly<Record<string, number>>): CoresUsed {
  const used = (): [string, number][] => Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)])
  let before = new Map(used())
  let lookedAtMs = performance.now()
  return {
    look() {
      const seconds = (performance.now() - lookedAtMs) / 1_000
      const now = new Map(used())
      const cores = [...now].map(([name, cpu]): [string, number] => [name, (cpu - (before.get(name) ?? 0)) / seconds])
      before = now
      lookedAtMs = performance.now()
      return Object.fromEntries(cores)
    },
  }
}

/** Of all threads of a process since it started, user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Beside how much else the machine does: threads that want to run, over the last minute. */
export function printCores(used: Readonly<Record<string, number>>): void {
  const shares = Object.entries(used).map(([name, cores]) => `${name} ${cores.toFixed(2)}`)
  console.log(`cores           ${shares.join(', ')}; load average ${(loadavg()[0] ?? NaN).toFixed(1)}`)
}
