import { createServer } from 'node:net'

/** Below where systems take the ports of outgoing connections from: a port that is free now still is a moment later. */
const lowestPort = 15_000
/** Each process looks among ports of its own, so that two which start at the same moment do not find the same one. */
const portsOfAProcess = 100
const processes = 150

const firstPort = lowestPort + (process.pid % processes) * portsOfAProcess
let looked = Math.floor(Math.random() * portsOfAProcess)

/** Different ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < portsOfAProcess && found.length < count; i += 1) {
    const port = firstPort + (looked % portsOfAProcess)
    looked += 1
    if (await isFree(port)) found.push(port)
  }
  if (found.length < count) throw new Error('no ports are free on 127.0.0.1')
  return found
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
