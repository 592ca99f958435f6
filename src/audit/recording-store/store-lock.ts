import { chmodSync, closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const LOCK_FILE = 'lock'

/**
 * Makes this the only store that writes to a directory, until it is disposed of or its process ends, however that ends:
 * the lock is the operating system's, on a database file without content.
 *
 * @throws Error when another one writes there.
 */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, LOCK_FILE)
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    throw new Error(`another connector keeps its recordings in ${directory}`, { cause })
  }
  return {
    [Symbol.dispose]: () => {
      database.close()
    },
  }
}
