import type { Duplex } from 'node:stream'
import { after } from './deadline.ts'

/** How long a client may take for what was read of the API server before that was gone, in milliseconds. */
const LAST_BYTES_TIMEOUT_MS = 30_000
/** How long a client that has it all may take to close its side, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2_000

/**
 * Closes the client's side of a tunnel whose API server is gone, once what was written to it went out; cuts it off when that
 * takes too long.
 *
 * @param isWhole whether the API server had ended; a client is cut off, and not said good-bye to, in the middle.
 */
export function closeAfterLastBytes(client: Duplex, isWhole: boolean): void {
  if (client.destroyed) return
  const cut = (): void => {
    client.destroy()
  }
  const callOffs = [after(LAST_BYTES_TIMEOUT_MS, cut)]
  client.once('close', () => {
    for (const callOff of callOffs) callOff()
  })
  const farewell = (): void => {
    callOffs.push(after(CLOSE_TIMEOUT_MS, cut))
  }
  if (client.writableFinished) farewell()
  else if (isWhole || client.writableEnded) client.once('finish', farewell).end()
  else client.write(Buffer.alloc(0), cut)
}
