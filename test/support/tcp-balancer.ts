import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

const ASKED_EVERY_MS = 100

/** A connector behind a balancer. */
interface BalancedReplica {
  readonly port: number
  readonly opsPort: number
}

/** Hands each connection to the next replica that said lately that it is ready, as a Service or a TCP load balancer does. */
export interface TcpBalancer {
  readonly port: number
  /** How many replicas are ready. */
  readonly ready: number
  /** Connections that no replica took; whoever opened them saw them close. */
  readonly refused: number
  add(replica: BalancedReplica): void
  stop(): void
}

/** Starts one on a free port of 127.0.0.1. */
export async function startTcpBalancer(): Promise<TcpBalancer> {
  const replicas = new Map<BalancedReplica, boolean>()
  const open = new Set<Socket>()
  let next = 0
  let refused = 0
  const readyOnes = (): BalancedReplica[] => [...replicas].filter(([, ready]) => ready).map(([replica]) => replica)
  const ask = async (replica: BalancedReplica): Promise<void> => {
    try {
      const response = await fetch(`http://127.0.0.1:${replica.opsPort}/readyz`)
      await response.arrayBuffer()
      replicas.set(replica, response.ok)
    } catch {
      replicas.set(replica, false)
    }
  }
  const asked = new Set<BalancedReplica>()
  const timer = setInterval(() => {
    for (const replica of replicas.keys()) {
      if (asked.has(replica)) continue
      asked.add(replica)
      void ask(replica).finally(() => asked.delete(replica))
    }
  }, ASKED_EVERY_MS)
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
    const ready = readyOnes()
    const replica = ready[next++ % Math.max(ready.length, 1)]
    if (replica === undefined) {
      refused += 1
      client.destroy()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: replica.port, noDelay: true })
    const refuse = (): void => {
      refused += 1
    }
    upstream.once('error', refuse).once('connect', () => upstream.off('error', refuse))
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        open.delete(from)
        to.destroySoon()
      })
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get ready() {
      return readyOnes().length
    },
    get refused() {
      return refused
    },
    add(replica) {
      replicas.set(replica, false)
    },
    stop() {
      clearInterval(timer)
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
