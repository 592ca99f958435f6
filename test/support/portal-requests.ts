import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'

/** Where a portal of a connector is. */
interface PortalAddress {
  readonly portalPort: number
  /** PEM. */
  readonly certificateAuthority: string
}

/** Asks the portal of a staged connector; an empty token leaves the credential out. */
export async function askPortal(
  { portalPort, certificateAuthority }: PortalAddress,
  token: string,
  method: string,
  path: string,
): Promise<{ readonly statusCode: number; readonly body: string }> {
  const outgoing = request({
    host: '127.0.0.1',
    port: portalPort,
    ca: certificateAuthority,
    method,
    path,
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    agent: false,
  }).end()
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  const body = Buffer.concat((await answer.toArray()) as Buffer[]).toString()
  return { statusCode: answer.statusCode ?? 0, body }
}
