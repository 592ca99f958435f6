import type { Sound } from '../document/document.ts'
import { hostOfURL } from './certificate-hosts.ts'
import type { ConnectorInput } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'

type SoundConnector = NonNullable<Sound<ConnectorInput>>

/** Notes a mistake for each host of a socket that cannot lead there, since it is that of something else. */
export function checkSocketHosts({ listen, sockets = [] }: SoundConnector, refuse: NamedFiles['refuse']): void {
  const kubernetes = parsedURL(listen?.kubernetes?.publicURL)
  const portal = parsedURL(listen?.portal?.publicURL)
  for (const [index, socket] of sockets.entries()) {
    for (const [entry, host] of (socket?.hosts ?? []).entries()) {
      if (host === undefined) continue
      const at = ['sockets', index, 'hosts', entry]
      // A request whose host and path name different sockets is refused.
      if (host === kubernetes?.host && sockets.length > 1) {
        const problem = `"${host}" is the host of listen.kubernetes, where /sockets/NAME has to lead to the others too`
        refuse(at, problem, 'another host, or this socket as defaultSocket')
      } else if (portal !== null && host === portal.host && portal.port === kubernetes?.port) {
        refuse(at, `"${host}" is the host of listen.portal, which answers there`, 'another host')
      }
    }
  }
}

function parsedURL(url: string | undefined): { readonly host: string; readonly port: string } | null {
  return url === undefined ? null : { host: hostOfURL(url), port: new URL(url).port }
}
