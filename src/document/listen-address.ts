import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'

/** Where to listen, as `net.Server.listen` takes it. */
export interface ListenAddress {
  /** Name or address, IPv6 without brackets; empty for every interface. */
  readonly host: string
  /** From 0, which asks for a free port, to 65535. */
  readonly port: number
}

const EXPECTED = 'an address such as 0.0.0.0:8443, [::1]:8443 or :8443'
const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/
const HOST_NAME =
  /^(?!.{254})(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

/** The address that `host:port` names, or null. */
export function parseListenAddress(text: string): ListenAddress | null {
  const [, bracketed, plain = '', digits] = ADDRESS.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return null
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : null
  const numeric = /^[0-9.]+$/.test(plain)
  return plain === '' || (numeric ? isIPv4(plain) : HOST_NAME.test(plain)) ? { host: plain, port } : null
}

/** `host:port` with IPv6 in brackets; the opposite of {@link parseListenAddress}. */
export function renderListenAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An address to listen on. */
export const listenAddress: z.ZodType<ListenAddress, string> = z
  .string({ error: EXPECTED })
  .regex(ADDRESS, { error: EXPECTED })
  .meta({ title: 'address' })
  .transform((text, context): ListenAddress => {
    const address = parseListenAddress(text)
    if (address !== null) return address
    context.issues.push({ code: 'custom', input: text, message: `is "${text}"`, params: { expected: EXPECTED } })
    return z.NEVER
  })
