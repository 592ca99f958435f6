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

const AUTHORIZATION = { apiVersion: 'authorization.k8s.io/v1' }
const REVIEWS = `/apis/${AUTHORIZATION.apiVersion}`
const RULES_REVIEW = { ...AUTHORIZATION, kind: 'SelfSubjectRulesReview', spec: { namespace: REVIEWED_NAMESPACE } }

/** What is asked about by itself where rights cannot be listed. Whoever may do anything in a namespace may list its pods, as a rule. */
const PROBES = {
  subject: { verb: 'impersonate', resource: 'users' },
  connector: { verb: 'list', resource: 'pods', namespace: REVIEWED_NAMESPACE },
}

interface Rule {
  readonly verbs?: readonly string[]
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
}

interface RulesReview {
  readonly status?: { readonly incomplete?: boolean; readonly resourceRules?: readonly Rule[] }
}

interface AccessReview {
  readonly status?: { readonly allowed?: boolean; readonly evaluationError?: string }
}

/**
 * Asks an API server what the connector's credential may do there. Null when it does not tell.
 *
 * A cluster with a webhook authorizer, as EKS has, lists only a part. What the connector needs and is not in it is asked
 * about by itself: to act as somebody where it forwards as the subject, else to list pods, which stands for any right.
 *
 * @throws the signal's reason
 * @see Kubernetes: authorization.k8s.io/v1 SelfSubjectRulesReview and SelfSubjectAccessReview, ClusterRole system:basic-user
 */
export async function ownRights(
  upstream: Pick<Upstream, 'send'>,
  forwardAs: 'connector' | 'subject',
  signal: AbortSignal,
): Promise<OwnRights | null> {
  try {
    const review = (await postObject(
      upstream,
      `${REVIEWS}/selfsubjectrulesreviews`,
      RULES_REVIEW,
      signal,
    )) as RulesReview
    const { incomplete = true, resourceRules } = review.status ?? {}
    if (!Array.isArray(resourceRules)) return null
    const listed = rightsOf(resourceRules)
    if (!incomplete || (forwardAs === 'subject' ? listed.impersonate : listed.any)) return listed
    return await probe(upstream, forwardAs, listed, signal)
  } catch {
    signal.throwIfAborted()
    return null
  }
}

function rightsOf(rules: readonly Rule[]): OwnRights {
  return {
    impersonate: rules.some(({ verbs = [] }) => verbs.some((verb) => verb === '*' || verb.startsWith('impersonate'))),
    any: !rules.every(
      ({ apiGroups = [], resources = [] }) =>
        apiGroups.every((group) => group === 'authorization.k8s.io' || group === 'authentication.k8s.io') &&
        resources.every((resource) => resource.startsWith('selfsubject')),
    ),
  }
}

async function probe(
  upstream: Pick<Upstream, 'send'>,
  forwardAs: 'connector' | 'subject',
  listed: OwnRights,
  signal: AbortSignal,
): Promise<OwnRights | null> {
  const object = { ...AUTHORIZATION, kind: 'SelfSubjectAccessReview', spec: { resourceAttributes: PROBES[forwardAs] } }
  const review = (await postObject(upstream, `${REVIEWS}/selfsubjectaccessreviews`, object, signal)) as AccessReview
  const { allowed, evaluationError = '' } = review.status ?? {}
  // An authorizer that failed might have allowed it.
  if (allowed === undefined || (!allowed && evaluationError !== '')) return null
  return { impersonate: listed.impersonate || (allowed && forwardAs === 'subject'), any: listed.any || allowed }
}
