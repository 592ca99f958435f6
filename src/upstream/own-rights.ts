import { postObject } from './json-request.ts'
import type { Upstream } from './upstream.ts'

/** What the connector's credential may do in a cluster at all. */
export interface OwnRights {
  /** Whether it may act as anybody (`Impersonate-*`). */
  readonly impersonate: boolean
  /** Whether it may do anything beyond what everybody may who is known to the cluster. */
  readonly any: boolean
}

/** Rights in a single namespace show only when that one is asked about; others are in every answer. */
export const REVIEWED_NAMESPACE = 'default'

const TARGET = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
const REVIEW = {
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SelfSubjectRulesReview',
  spec: { namespace: REVIEWED_NAMESPACE },
}

interface RulesReview {
  readonly status?: {
    readonly incomplete?: boolean
    readonly resourceRules?: readonly {
      readonly verbs?: readonly string[]
      readonly apiGroups?: readonly string[]
      readonly resources?: readonly string[]
    }[]
  }
}

/**
 * Asks an API server what the connector's credential may do there. Null when it does not tell: clusters with a webhook
 * authorizer, as EKS has, cannot list rights.
 *
 * @throws the signal's reason
 * @see Kubernetes: authorization.k8s.io/v1 SelfSubjectRulesReview, ClusterRole system:basic-user
 */
export async function ownRights(upstream: Pick<Upstream, 'send'>, signal: AbortSignal): Promise<OwnRights | null> {
  try {
    return rightsOf((await postObject(upstream, TARGET, REVIEW, signal)) as RulesReview | null)
  } catch {
    signal.throwIfAborted()
    return null
  }
}

function rightsOf(review: RulesReview | null): OwnRights | null {
  const { incomplete = true, resourceRules } = review?.status ?? {}
  if (incomplete || !Array.isArray(resourceRules)) return null
  const rules = (resourceRules as NonNullable<NonNullable<RulesReview['status']>['resourceRules']>).map(
    ({ verbs = [], apiGroups = [], resources = [] }) => ({ verbs, apiGroups, resources }),
  )
  return {
    impersonate: rules.some(({ verbs }) => verbs.some((verb) => verb === '*' || verb.startsWith('impersonate'))),
    any: !rules.every(
      ({ apiGroups, resources }) =>
        apiGroups.every((group) => group === 'authorization.k8s.io' || group === 'authentication.k8s.io') &&
        resources.every((resource) => resource.startsWith('selfsubject')),
    ),
  }
}
