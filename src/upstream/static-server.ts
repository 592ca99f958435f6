import { buildEndpoint, type Endpoint, type EndpointParts, type Text } from './endpoint.ts'
import { Problems } from './endpoint-error.ts'
import { FilesRead } from './small-file.ts'

/** A file that holds an address or a name may have at most so many bytes. */
const MAX_TEXT_BYTES = 64 * 1024

/** An API server as the connector's document describes it. */
export interface StaticServer extends Omit<EndpointParts, 'server' | 'tlsServerName'> {
  /** `https://HOST[:PORT][/PATH]`. */
  readonly server: Text
  /** Name that the server's certificate must hold when it is not the host of `server`. */
  readonly tlsServerName?: Text | undefined
}

/**
 * The endpoint of an API server that the connector's document describes itself.
 *
 * @throws EndpointError
 */
export async function loadStaticServer(
  { server, tlsServerName, ...parts }: StaticServer,
  files = new FilesRead(),
): Promise<Endpoint> {
  const problems = new Problems(`server ${'file' in server ? server.file : server.value}`)
  const address = await problems.attempt(() => textOf(server, files))
  const name = await problems.attempt(() => (tlsServerName === undefined ? undefined : textOf(tlsServerName, files)))
  const endpoint =
    address === undefined
      ? undefined
      : await buildEndpoint({ ...parts, server: address, tlsServerName: name }, problems, files)
  if (endpoint === undefined) throw problems.toError()
  return endpoint
}

async function textOf(text: Text, files: FilesRead): Promise<string> {
  return 'file' in text ? (await files.read(text.file, MAX_TEXT_BYTES)).trim() : text.value
}
