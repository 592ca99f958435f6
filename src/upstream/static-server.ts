import { buildEndpoint, type Endpoint, type EndpointParts } from './endpoint.ts'
import { Problems } from './endpoint-error.ts'
import { FilesRead } from './small-file.ts'

/**
 * The endpoint of an API server that the connector's document describes itself.
 *
 * @throws EndpointError
 */
export async function loadStaticServer(server: EndpointParts, files = new FilesRead()): Promise<Endpoint> {
  const problems = new Problems(`server ${server.server}`)
  const endpoint = await buildEndpoint(server, problems, files)
  if (endpoint === undefined) throw problems.toError()
  return endpoint
}
