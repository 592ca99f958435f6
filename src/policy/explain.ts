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
  /** The one of these by which the request is denied; null when it is allowed, or denied itself. */
  readonly lacking: Check | null
}

/** A request line that is refused before anything is decided. */
export interface Refused {
  readonly error: Status
}

/** What is decided of a request. */
export type ExplainedRequest = Omit<AskedRequest, 'also'>

/** Decides a request as the gateway would. */
export function explainRequest(authorizer: Authorizer, caller: Caller, asked: ExplainedRequest): Explained {
  const { assuming, own, beside } = requiredOf(caller, asked)
  const check = (attributes: Attributes): Check => ({
    requestInfo: attributes.requestInfo,
    decision: authorizer.authorize(attributes),
  })
  const { decision } = check(own)
  if (assuming.length + beside.length === 0) {
    return { requestInfo: asked.requestInfo, decision, additional: NOTHING, lacking: null }
  }
  const [before, after] = [assuming.map(check), beside.map(check)]
  const isDenied = (one: Check): boolean => one.decision.effect !== 'allow'
  const lacking = before.find(isDenied) ?? (decision.effect === 'allow' ? after.find(isDenied) : undefined) ?? null
  return {
    requestInfo: asked.requestInfo,
    decision: lacking?.decision ?? decision,
    additional: [...before, ...after],
    lacking,
  }
}

const NOTHING: readonly never[] = []

/** Everything that has to be allowed for a request to be. */
export interface Required {
  /** For its sender to be somebody else. */
  readonly assuming: readonly Attributes[]
  /** The request itself, as it is decided. */
  readonly own: Attributes
  /** What Kubernetes asks besides, or would. */
  readonly beside: readonly Attributes[]
}

export function requiredOf(
  { forwardAs, ...caller }: Caller,
  { requestInfo, headers, assumed }: ExplainedRequest,
): Required {
  const own = {
    ...caller,
    ...(assumed !== null && { subject: assumed.subject }),
    requestInfo: requestInfoToAuthorize(requestInfo),
  }
  return {
    assuming: assumed?.checks.map((check) => ({ ...caller, requestInfo: check })) ?? NOTHING,
    own,
    beside: additionalChecks(own.requestInfo, headers, forwardAs).map((check) => ({ ...own, requestInfo: check })),
  }
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
  return explainRequest(authorizer, caller, { requestInfo, headers: [], assumed: null })
}
