import { BlockList, isIP } from 'node:net'
import { z } from 'zod'

/** A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export const addressRange = z
  .string({ error: 'an address range such as 10.0.0.0/8' })
  .refine((text) => parseRange(text) !== null, {
    error: 'is no address range',
    params: { expected: 'a range such as 10.0.0.0/8 or 2001:db8::/32, or one address' },
  })

/**
 * Whether an address is in one of these ranges; an IPv4 address is also as IPv6 writes it (`::ffff:10.0.0.1`), and the
 * zone of a link-local one does not count. It throws TypeError for a text that is no address.
 *
 * @throws TypeError for a range that {@link addressRange} does not accept.
 */
export function createAddressMatcher(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const text of ranges) {
    const range = parseRange(text)
    if (range === null) throw new TypeError(`${text} is not an address range`)
    list.addSubnet(range.address, range.prefix, range.family)
  }
  return (text) => {
    const [address = ''] = text.split('%', 1)
    const family = familyOf(address)
    if (family === null) throw new TypeError('the source address of a request is not an address')
    return ranges.length > 0 && list.check(address, family)
  }
}

interface Range {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

function parseRange(text: string): Range | null {
  const [, address = '', length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = familyOf(address)
  if (family === null) return null
  const longest = family === 'ipv4' ? 32 : 128
  const prefix = length === undefined ? longest : Number(length)
  return prefix > longest ? null : { address, prefix, family }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const version = isIP(address)
  if (version === 0) return null
  return version === 4 ? 'ipv4' : 'ipv6'
}
