import { open } from 'node:fs/promises'

/**
 * The text of a file of at most `maxBytes`, as UTF-8.
 *
 * @throws Error with one phrase: which file, and why it cannot be read
 */
export async function readSmallFile(path: string, maxBytes: number): Promise<string> {
  let file
  try {
    file = await open(path)
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length)
      length += bytesRead
      if (bytesRead === 0 || length > maxBytes) break
    }
    if (length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`)
    return buffer.toString('utf8', 0, length)
  } catch (error) {
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error })
  } finally {
    await file?.close()
  }
}

/** What a failed file operation says to an operator, without the name of the system call. */
function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  switch (code) {
    case 'ENOENT':
      return 'no such file'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EISDIR':
      return 'it is a directory'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}
