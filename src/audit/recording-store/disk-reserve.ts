import { open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'

const RESERVE_FILE = 'reserve'
/** Enough for the manifests of many sessions that end because the disk is full. */
const RESERVE_BYTES = 1024 * 1024

/**
 * Writes the file that keeps some room free for the manifests of sessions which a full disk ends. It is also the proof
 * that the directory takes what is written.
 *
 * @throws when the directory cannot be written, or has not that much room.
 */
export async function takeReserve(directory: string): Promise<void> {
  const path = join(directory, RESERVE_FILE)
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(Buffer.alloc(RESERVE_BYTES))
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
}

/** Frees the room that was kept, if it still is. */
export async function releaseReserve(directory: string): Promise<void> {
  await unlink(join(directory, RESERVE_FILE)).catch(() => undefined)
}
