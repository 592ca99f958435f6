import { open } from 'node:fs/promises'

/**
 * The text of a file of at most `maxBytes`, as UTF-8 without a byte order mark.
 *
 * @throws Error with one phrase that does not name the file: `no such file`, `permission denied`, …
 */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  let file
  try {
    file = await open(path)
    const { size } = await file.stat()
    if (size > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
    const chunks: Buffer[] = []
    let length = 0
    // The size of a pipe or of a file in /proc is 0.
    for await (const chunk of file.createReadStream({ autoClose: false, end: maxBytes })) {
      chunks.push(chunk as Buffer)
      length += (chunk as Buffer).length
    }
    if (length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    throw new Error(reason(error), { cause: error })
  } finally {
    await file?.close()
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'no such file'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'EISDIR':
      return 'it is a directory'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'it is not UTF-8 text'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}
