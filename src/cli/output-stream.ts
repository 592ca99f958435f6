import { once } from 'node:events'
import { open, rename, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'

type Piece = string | Uint8Array

/** Writes pieces to stdout, no faster than they are read there. */
export async function writeToStdout(pieces: AsyncIterable<Piece>): Promise<void> {
  for await (const piece of pieces) if (!process.stdout.write(piece)) await once(process.stdout, 'drain')
}

/** Writes pieces to a file that only its owner may read, whole or not at all. */
export async function writeToFile(path: string, pieces: AsyncIterable<Piece>): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const file = await open(temporary, 'wx', 0o600)
  try {
    try {
      for await (const piece of pieces) await file.appendFile(piece)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
