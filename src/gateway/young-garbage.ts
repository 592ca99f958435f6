import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes that pass between two collections: well below the 64 MiB at which V8 marks its whole heap. */
const COLLECT_EVERY_BYTES = 4 * 1024 * 1024

/**
 * Collects the chunks that clients sent, and what recording leaves. Each is memory outside of V8's heap behind a small
 * object inside it, so megabytes of them never fill the young generation; V8 then frees them by marking the whole heap,
 * again and again, which costs more than all the rest of relaying (`npm run bench -- exec`). Collecting the young
 * generation in time is cheap.
 */
export class YoungGarbage {
  readonly #collect: (options: object) => void
  #bytes = 0

  constructor() {
    setFlagsFromString('--expose-gc')
    this.#collect = runInNewContext('gc') as (options: object) => void
  }

  /** So many bytes were left behind. */
  add(byteLength: number): void {
    this.#bytes += byteLength
    if (this.#bytes < COLLECT_EVERY_BYTES) return
    this.#bytes = 0
    this.#collect({ type: 'minor', execution: 'sync' })
  }
}
