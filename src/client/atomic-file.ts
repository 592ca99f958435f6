import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** A file that will take the place of another, with room on the disk already. One of the two ends it. */
export interface ReservedFile {
  /** Puts `text` in the place of the other file, whole or not at all, also across a power cut. */
  replace(text: string): void
  discard(): void
}

/**
 * Puts `text` in the place of a file, whole or not at all, also across a power cut. `mode` is the mode of the new file.
 *
 * A symbolic link at `path` is replaced: resolve it first where it should stay.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  createTemporary(`${path}.${randomBytes(6).toString('hex')}.tmp`, path, mode).replace(text)
}

/**
 * Takes the room that a new file of `bytes` in the place of `path` needs, before what will be in it is known. Only one
 * process at a time may do so; what one that was killed left behind is taken over.
 */
export function reserveFile(path: string, bytes: number, mode: number): ReservedFile {
  const temporary = reservedPath(path)
  rmSync(temporary, { force: true })
  const file = createTemporary(temporary, path, mode)
  try {
    // No zeros: some file systems keep them in no room.
    file.write(randomBytes(bytes))
    return file
  } catch (error) {
    file.discard()
    throw error
  }
}

/** Where {@link reserveFile} keeps the new file. */
export function reservedPath(path: string): string {
  return `${path}.new`
}

function createTemporary(
  temporary: string,
  path: string,
  mode: number,
): ReservedFile & { write(content: Buffer): void } {
  const file = openSync(temporary, 'wx', mode)
  const discard = (): void => {
    closeSync(file)
    rmSync(temporary, { force: true })
  }
  const write = (content: Buffer): void => {
    for (let at = 0; at < content.length;) at += writeSync(file, content, at, content.length - at, at)
    ftruncateSync(file, content.length)
    fsyncSync(file)
  }
  const replace = (text: string): void => {
    try {
      write(Buffer.from(text))
      renameSync(temporary, path)
    } catch (error) {
      discard()
      throw error
    }
    closeSync(file)
  }
  return { write, replace, discard }
}
