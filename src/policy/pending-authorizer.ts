import { serviceUnavailable } from '../kube/status.ts'
import type { PolicyAuthorizer } from './policy-authorizer.ts'

/**
 * Decides nothing, for as long as policies are missing that may deny something. Its revision is that of the policies that
 * are there.
 */
export function createPendingAuthorizer(revision: string, missing: string): PolicyAuthorizer {
  const refuse = (): never => {
    throw serviceUnavailable('not all policies are known yet, so nothing is let through', { detail: missing })
  }
  return {
    revision,
    authorize: refuse,
    dependsOnTime: () => false,
    decide: refuse,
    decisionKey: refuse,
    nearest: refuse,
    mayReach: () => false,
    summary: () => [],
    rulesFor: refuse,
  }
}
