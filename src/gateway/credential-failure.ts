import { badGateway } from '../kube/status.ts'
import type { Authorized } from './stages.ts'

/**
 * Keeps an API server's 401 from the client: it is about the connector's credential, and kubectl would take it for
 * its own and sign the person in again. What lies behind `proxy` answers for itself.
 *
 * @throws StatusError 502
 */
export function refuseCredentialFailure({ authenticated }: Authorized, statusCode: number): void {
  if (statusCode !== 401 || authenticated.request.requestInfo.subresource === 'proxy') return
  throw badGateway('the API server does not accept the credential of this gateway; tell its operator')
}
