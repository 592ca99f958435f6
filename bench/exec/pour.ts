import { once } from 'node:events'
import type { Duplex } from 'node:stream'

/** Writes the block so many times, no faster than it is taken. */
export async function pour(socket: Duplex, block: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times && !socket.destroyed; i += 1) {
    if (!socket.write(block)) await once(socket, 'drain')
  }
}
