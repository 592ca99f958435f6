import { Option } from 'commander'
import { ClientError } from '../client/client-error.ts'

/** Where the ops listener of a connector is, as an origin. */
export const opsOption = (): Option =>
  new Option('--ops <URL>', 'ops listener of the connector').default('http://127.0.0.1:9443').argParser(parseOps)

function parseOps(text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new ClientError('BadArgument', `"${text}" is no ops listener; write it as http://HOST:PORT`)
  return url.origin
}
