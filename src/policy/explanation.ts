import type { RequestInfo } from '../kube/request-info.ts'
import type { Decision } from './authorizer.ts'

/** A request and what became of it, as `postern policy explain -o json` prints it. */
export interface Explanation {
  readonly requestInfo: RequestInfo
  readonly decision: Omit<Decision, 'obligations'>
}

/** The one shape in which a decision is shown to programs. */
export function explanation(requestInfo: RequestInfo, decision: Decision): Explanation {
  return { requestInfo, decision: shownDecision(decision) }
}

/** What of a decision is shown. */
export function shownDecision(decision: Decision): Explanation['decision'] {
  const { effect, rule, location, policyRevision, reason, nearest } = decision
  return { effect, rule, location, policyRevision, reason, nearest }
}
