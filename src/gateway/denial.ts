import type { RequestInfo } from '../kube/request-info.ts'
import type { Decision } from '../policy/authorizer.ts'
import { missingRule } from '../policy/missing-rule.ts'

/**
 * Why a request was denied and what would change that, in one line for the person who asked: the reason, then the
 * nearest rule and what it lacks, or the rule that is missing altogether.
 */
export function describeDenial(info: RequestInfo, decision: Decision): string {
  if (decision.effect === 'deny') return decision.reason
  const [nearest] = decision.nearest
  const parts = [decision.reason]
  if (nearest !== undefined) parts.push(`the nearest rule, ${nearest.rule}, lacks ${nearest.missing.join(' and ')}`)
  const missing = missingRule(info)
  if (missing !== '') parts.push(`a rule that would: ${missing}`)
  return parts.join('; ')
}
