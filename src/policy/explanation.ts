import type { RequestInfo } from '../kube/request-info.ts'
import type { Decision } from './authorizer.ts'
import type { Check, Explained } from './explain.ts'

/** Something that was decided, as programs see it. */
interface ShownCheck {
  readonly requestInfo: RequestInfo
  readonly decision: Omit<Decision, 'obligations'>
}

/** A request and what became of it, as `postern policy explain -o json` prints it. */
export interface Explanation extends ShownCheck {
  /** What has to be allowed besides; absent when nothing has. */
  readonly additionalChecks?: readonly ShownCheck[]
}

/** The one shape in which a decision is shown to programs. */
export function explanation({ requestInfo, decision, additional }: Explained): Explanation {
  const shown = shownCheck({ requestInfo, decision })
  return additional.length === 0 ? shown : { ...shown, additionalChecks: additional.map(shownCheck) }
}

function shownCheck({ requestInfo, decision }: Check): ShownCheck {
  return { requestInfo, decision: shownDecision(decision) }
}

/** What of a decision is shown. */
export function shownDecision(decision: Decision): ShownCheck['decision'] {
  const { effect, rule, location, policyRevision, reason, nearest } = decision
  return { effect, rule, location, policyRevision, reason, nearest }
}
