import { additionalChecks } from '../kube/additional-checks.ts'
import type { ForwardAs } from '../kube/impersonation.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { StatusError } from '../kube/status.ts'
import type { Status } from '../kube/status.ts'
import type { AskedRequest } from './asked-request.ts'
import type { Attributes, Authorizer, Decision } from './authorizer.ts'

/** Who asks, of which socket, from where and when, and whether Kubernetes will see them or the connector. */
export interface Caller extends Omit<Attributes, 'requestInfo'> {
  readonly forwardAs: ForwardAs
}

/** Something that has to be allowed, and whether it is. */
export interface Check {
  readonly requestInfo: RequestInfo
  readonly decision: Decision
}

/** What became of a request. */
export interface Explained extends Check {
  /** As it was asked; exec, attach and port-forward are decided as `create`, whatever the method. */
  readonly requestInfo: RequestInfo
  /** The first denial of all that has to be allowed, else what allows the request itself. */
  readonly decision: Decision
  /** What has to be allowed besides, in the order in which the gateway asks. Mostly empty. */
  readonly additional: readonly Check[]
  /** The one of these by which a request is denied that would be allowed without; null otherwise. */
  readonly lacking: Check | null
}

/** A request line that is refused before anything is decided. */
export interface Refused {
  readonly error: Status
}

/** Decides a request as the gateway would. */
export function explainRequest(
  authorizer: Authorizer,
  caller: Caller,
  { requestInfo, headers }: Omit<AskedRequest, 'also'>,
): Explained {
  const [info, ...besides] = requiredOf({ requestInfo, headers }, caller.forwardAs)
  const own = authorizer.authorize({ ...caller, requestInfo: info })
  if (besides.length === 0) return { requestInfo, decision: own, additional: NOTHING, lacking: null }
  const additional = besides.map((required) => ({
    requestInfo: required,
    decision: authorizer.authorize({ ...caller, requestInfo: required }),
  }))
  const denied = additional.find(({ decision }) => decision.effect !== 'allow') ?? null
  const lacking = own.effect === 'allow' ? denied : null
  return { requestInfo, decision: lacking?.decision ?? own, additional, lacking }
}

const NOTHING: readonly Check[] = []

/** Everything that has to be allowed for a request to be: first the request itself, as it is decided. */
export function requiredOf(
  { requestInfo, headers }: Omit<AskedRequest, 'also'>,
  forwardAs: ForwardAs,
): readonly [RequestInfo, ...RequestInfo[]] {
  const info = requestInfoToAuthorize(requestInfo)
  return [info, ...additionalChecks(info, headers, forwardAs)]
}

/** Parses and decides a request line as the gateway would. A PATCH is taken for one that applies nothing. */
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
  return explainRequest(authorizer, caller, { requestInfo, headers: [] })
}
