import type { z } from 'zod'
import { renderPath } from '../document/document-path.ts'
import type { DocumentPath } from '../document/document-path.ts'
import { validate } from '../document/validation.ts'
import type { Flaw } from '../document/validation.ts'
import { isObject } from '../document/wording.ts'
import { clusterPolicySchema, namespacedPolicySchema } from './policy-document.ts'
import type { PolicyDocument, ResourceRule } from './policy-document.ts'
import { toPolicy } from './policy-set.ts'
import type { Policy } from './policy-set.ts'

/** A policy that is a Kubernetes object: which one it is, and what it says. */
export interface PolicyObject {
  readonly kind: PolicyObjectKind
  /** Empty for a `ClusterPosternPolicy`. */
  readonly namespace: string
  readonly name: string
  /** What it holds beside its metadata and status, as it came. */
  readonly content: unknown
}

export type PolicyObjectKind = 'ClusterPosternPolicy' | 'PosternPolicy'

/** What became of an object. */
export type PolicyObjectReading =
  | { readonly policy: Policy; readonly mistakes: readonly [] }
  | {
      /** What it says that holds in spite of the mistakes: its rules that deny and are right by themselves. */
      readonly denials: Policy | null
      readonly policy: null
      /** At least one: `PATH: PROBLEM, expected EXPECTED`. */
      readonly mistakes: readonly string[]
    }

type Content = Pick<PolicyDocument, 'spec' | 'tests'>

/** `ClusterPosternPolicy/NAME` or `PosternPolicy/NAMESPACE/NAME`: what its rules are called by. */
export function policyObjectName({ kind, namespace, name }: Omit<PolicyObject, 'content'>): string {
  return namespace === '' ? `${kind}/${name}` : `${kind}/${namespace}/${name}`
}

/**
 * Reads an object whole or, but for what it denies, not at all. One in a namespace can only allow, in that namespace and
 * on `socket`, the one that it came by; the Namespace itself is not in it.
 */
export function readPolicyObject(object: PolicyObject, socket: string): PolicyObjectReading {
  const content = withoutOwnKeys(object.content)
  const policyOf = (value: Content): Policy => policyAt(object, value)
  if (object.kind === 'PosternPolicy') {
    const { value, flaws } = validate(namespacedPolicySchema, content)
    if (value === null) return { policy: null, denials: null, mistakes: flaws.map(renderFlaw) }
    return { policy: policyOf(confined(value, object.namespace, [socket])), mistakes: [] }
  }
  const { value, flaws } = validate(clusterPolicySchema, content)
  if (value !== null) return { policy: policyOf(value), mistakes: [] }
  return { policy: null, denials: denialsOf(content, policyOf), mistakes: flaws.map(renderFlaw) }
}

function policyAt(object: PolicyObject, content: Content): Policy {
  const name = policyObjectName(object)
  return toPolicy(name, content, (path: DocumentPath) => `${name}: ${renderPath(path)}`)
}

const KUBERNETES_KEYS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status'])

/** What Kubernetes itself keeps in an object is not the policy's. */
function withoutOwnKeys(content: unknown): unknown {
  if (!isObject(content) || Array.isArray(content)) return content
  return Object.fromEntries(Object.entries(content).filter(([key]) => !KUBERNETES_KEYS.has(key)))
}

/**
 * What a policy of a namespace says, as a policy of all: it allows, there and on these sockets, and the Namespace itself is
 * not in it.
 */
export function confined(
  { spec, tests }: z.output<typeof namespacedPolicySchema>,
  namespace: string,
  sockets: readonly string[] | undefined,
): Content {
  const rules = spec.rules.map((rule): ResourceRule => {
    // A request for the Namespace itself counts as one in it, and its labels say what its pods may do to the node.
    const reachesNamespace = rule.resources.some((entry) => entry.startsWith('*'))
    const excepted = [...(rule.except?.resources ?? []), 'namespaces']
    return {
      ...rule,
      effect: 'allow',
      namespaces: [namespace],
      ...(reachesNamespace && { except: { ...rule.except, resources: excepted } }),
    }
  })
  return { spec: { ...spec, sockets, rules }, tests }
}

/** Its rules that deny, each of which is right when it stands alone. Null when there is none. */
function denialsOf(content: unknown, policyOf: (content: Content) => Policy): Policy | null {
  const spec: unknown = isObject(content) ? content['spec'] : null
  const written: unknown = isObject(spec) ? spec['rules'] : null
  if (!isObject(spec) || !Array.isArray(written)) return null
  const alone = written.map((rule: unknown) =>
    isObject(rule) && rule['effect'] === 'deny'
      ? validate(clusterPolicySchema, { spec: { ...spec, rules: [rule] } }).value
      : null,
  )
  const first = alone.find((value) => value !== null)
  if (first === undefined) return null
  const policy = policyOf(first)
  const { name } = policy
  const rules = alone.flatMap((value, index) => {
    const [rule] = value === null ? [] : value.spec.rules
    if (rule === undefined) return []
    return [{ ...rule, id: `${name}#${index + 1}`, location: `${name}: spec.rules[${index}]` }]
  })
  return { ...policy, rules }
}

function renderFlaw({ path, problem, expected }: Flaw): string {
  const at = path.length === 0 ? '' : `${renderPath(path)}: `
  const what = expected === '' ? problem : `${problem}, expected ${expected}`
  return `${at}${what}`.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}
