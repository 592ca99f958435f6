import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

/** How many bytes this process still holds once nothing is left to collect, buffers included. */
export function retainedBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose_gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
