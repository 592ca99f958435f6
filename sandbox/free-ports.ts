import { createServer } from 'node:net'

/** Below where systems take the ports of outgoing connections from: a port that is free now still is a moment later. */
const lowestPort = 15_000
const highestPort = 29_999
const attempts = 1000

/** Different ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let i = 0; i < attempts && found.size < count; i += 1) {
    const port = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort + 1))
    if (await isFree(port)) found.add(port)
  }
  if (found.size < count) throw new Error('no ports are free on 127.0.0.1')
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, '127.0.0.1', () => {
      resolve(true)
    })
  })
  if (listens) await new Promise((resolve) => server.close(resolve))
  return listens
}
