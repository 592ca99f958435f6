import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
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

/** Sends a form, or what is to pass for one, without a credential. */
export async function postToPortal(
  { portalPort, certificateAuthority }: PortalAddress,
  path: string,
  body: string,
  headers: OutgoingHttpHeaders = {},
): Promise<{ readonly statusCode: number; readonly body: string; readonly headers: IncomingHttpHeaders }> {
  const outgoing = request({
    host: '127.0.0.1',
    port: portalPort,
    ca: certificateAuthority,
    method: 'POST',
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    agent: false,
  }).end(body)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  const text = Buffer.concat((await answer.toArray()) as Buffer[]).toString()
  return { statusCode: answer.statusCode ?? 0, body: text, headers: answer.headers }
}
