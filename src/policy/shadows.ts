import type { CompiledRule } from './compiled-rule.ts'
import { EVERYBODY } from './discovery-policy.ts'
import { groupTerm, resourceTerm, userTerm, verbTerm } from './request-terms.ts'

/**
 * Rules that change nothing because another one covers them whole, with the sentence that says so. Not every such rule is
 * found, and none that is found is needed: entries are compared one by one, and a rule with exceptions covers no other.
 */
export function findShadows(rules: readonly CompiledRule[]): ReadonlyMap<CompiledRule, string> {
  const byTerm = new Map<string, CompiledRule[]>()
  for (const rule of rules) {
    for (const term of termsOf(rule)) {
      const same = byTerm.get(term)
      if (same === undefined) byTerm.set(term, [rule])
      else same.push(rule)
    }
  }
  const shadows = new Map<CompiledRule, string>()
  for (const rule of rules) {
    const [term = ''] = termsOf(rule)
    const cover = [...(byTerm.get(term) ?? []), ...(byTerm.get(groupTerm(EVERYBODY)) ?? [])].find(
      (other) => other !== rule && shadowedBy(rule, other) && !(shadows.has(other) && shadowedBy(other, rule)),
    )
    if (cover === undefined) continue
    const { id, effect } = cover.rule
    shadows.set(
      rule,
      effect === rule.rule.effect ? `rule ${id} says the same already` : `rule ${id} denies all that it allows`,
    )
  }
  return shadows
}

function termsOf({ policy: { subjects } }: CompiledRule): readonly string[] {
  return [...subjects.users.map(userTerm), ...subjects.groups.map(groupTerm)]
}

function shadowedBy(rule: CompiledRule, other: CompiledRule): boolean {
  if (other.rule.effect === 'allow') {
    // A demand of either holds beside the other.
    if (rule.rule.effect === 'deny' || hasSession(rule) || hasSession(other)) return false
  }
  return (
    (other.condition === null || other.condition === rule.condition) &&
    coversSubjects(other, rule) &&
    (other.policy.sockets === undefined ||
      (rule.policy.sockets?.every((socket) => other.patterns.socket.test(socket)) ?? false)) &&
    coversRequests(other, rule)
  )
}

function hasSession({ rule }: CompiledRule): boolean {
  return 'session' in rule && rule.session !== undefined
}

function coversSubjects(other: CompiledRule, rule: CompiledRule): boolean {
  if (other.policy.subjects.groups.includes(EVERYBODY)) return true
  const terms = new Set(termsOf(other))
  return termsOf(rule).every((term) => terms.has(term))
}

/**
 * A pattern covers another when it matches it to the letter: a `*` in the one is matched only by a `*` in the other.
 */
function coversRequests({ rule: other, patterns }: CompiledRule, { rule }: CompiledRule): boolean {
  if (!rule.verbs.map(verbTerm).every((verb) => patterns.verb.test(verb))) return false
  if (!('resources' in rule)) {
    return (
      !('resources' in other) &&
      rule.nonResourceURLs.every((url) =>
        url !== '*' ? patterns.resource.test(url) : other.nonResourceURLs.includes('*'),
      )
    )
  }
  if (!('resources' in other) || other.except !== undefined) return false
  return (
    rule.resources.flatMap(toTerms).every((term) => patterns.resource.test(term)) &&
    (other.apiGroups === undefined ||
      other.apiGroups.includes('*') ||
      (rule.apiGroups?.every((group) => patterns.group.test(group)) ?? false)) &&
    (other.namespaces === undefined || (rule.namespaces?.every((entry) => patterns.namespace.test(entry)) ?? false)) &&
    (other.resourceNames === undefined || (rule.resourceNames?.every((entry) => patterns.name.test(entry)) ?? false))
  )
}

/** Both forms of the subresources that a `*` may stand for. */
function toTerms(written: string): readonly string[] {
  const [resource = '', subresource = ''] = written.split('/')
  if (resource !== '*' && subresource !== '*') return [resourceTerm(resource, subresource)]
  return subresource === '' ? [written] : [written, `${resource}//${subresource}`]
}
