import { parseRequest } from '../kube/parsed-request.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { StatusError } from '../kube/status.ts'
import type { Status } from '../kube/status.ts'
import type { Attributes, Authorizer, Decision } from './authorizer.ts'

/** Who asks, of which socket, from where and when. */
export type Caller = Omit<Attributes, 'requestInfo'>

/** What became of a request. */
export interface Explained {
  /** As it was asked; exec, attach and port-forward are decided as `create`, whatever the method. */
  readonly requestInfo: RequestInfo
  readonly decision: Decision
}

/** A request line that is refused before anything is decided. */
export interface Refused {
  readonly error: Status
}

/** Decides a request as the gateway would. */
export function explainRequest(authorizer: Authorizer, caller: Caller, requestInfo: RequestInfo): Explained {
  return {
    requestInfo,
    decision: authorizer.authorize({ ...caller, requestInfo: requestInfoToAuthorize(requestInfo) }),
  }
}

/** Parses and decides a request line as the gateway would. */
export function explainRequestLine(
  authorizer: Authorizer,
  caller: Caller,
  method: string,
  target: string,
): Explained | Refused {
  let requestInfo
  try {
    requestInfo = parseRequest(method, target).requestInfo
  } catch (error) {
    if (error instanceof StatusError) return { error: error.status }
    throw error
  }
  return explainRequest(authorizer, caller, requestInfo)
}
