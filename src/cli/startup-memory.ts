import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives back what start-up left behind: modules, schemas and documents were parsed into a young generation that V8
 * would otherwise keep at its largest for the life of an idle process (16 MB of 105, measured). Blocks for some
 * tens of milliseconds.
 */
export function releaseStartupMemory(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
