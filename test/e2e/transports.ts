import { setTimeout as sleep } from 'node:timers/promises'
import type { KubectlVersion } from './kubectl-versions.ts'
import { readTrail } from './evidence.ts'

/** What carries a session between kubectl and the API server. */
export type Transport = 'SPDY' | 'WebSocket'

export const transports: readonly Transport[] = ['SPDY', 'WebSocket']

const trailDeadlineMs = 10_000

/** Asks kubectl for a transport, for exec, attach, cp and port-forward alike. Those before 1.29 know only SPDY. */
export function asking(transport: Transport): Record<string, string> {
  const value = String(transport === 'WebSocket')
  return { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: value, KUBECTL_PORT_FORWARD_WEBSOCKETS: value }
}

/** The transport that a kubectl uses for `exec` when it is asked for one. */
export function execTransport({ minor }: KubectlVersion, asked: Transport): Transport {
  return minor >= 29 ? asked : 'SPDY'
}

/** The transport that a kubectl uses for `port-forward` when it is asked for one. */
export function portForwardTransport({ minor }: KubectlVersion, asked: Transport): Transport {
  return minor >= 30 ? asked : 'SPDY'
}

/** How the session whose address holds `mark` was carried, by the trail of the connector that it went through. */
export async function transportInTrail(trail: string, mark: string, since = new Date(0)): Promise<Transport> {
  const deadline = performance.now() + trailDeadlineMs
  for (;;) {
    const event = (await readTrail(trail)).find(
      ({ requestURI, responseStatus, requestReceivedTimestamp }) =>
        requestURI.includes(mark) && responseStatus?.code === 101 && new Date(requestReceivedTimestamp) >= since,
    )
    if (event !== undefined) return event.verb === 'get' ? 'WebSocket' : 'SPDY'
    if (performance.now() > deadline) throw new Error(`no session with ${mark} is in the trail`)
    await sleep(50)
  }
}
