import { excerpt } from '../kube/quote.ts'
import type { Attributes, NearestRule } from './authorizer.ts'
import { resolves } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { ALL } from './request-terms.ts'
import type { RequestInfoTerms } from './request-terms.ts'

/** How many rules a denial names. */
const MAX_NEAREST = 3

/** What a rule may lack, the least first. */
const PARTS = ['conditions', 'name', 'namespace', 'verb', 'group', 'resource'] as const
type Part = (typeof PARTS)[number]

/**
 * The rules that come closest to allowing a request that none allows: first those that lack the fewest parts, then those
 * that lack the lesser ones, then in the order of the policies.
 */
export function nearestRules(
  rules: readonly CompiledRule[],
  terms: RequestInfoTerms,
  attributes: Attributes,
): readonly NearestRule[] {
  const nearest: { readonly rule: CompiledRule; readonly distance: number }[] = []
  for (const rule of rules) {
    if (rule.rule.effect === 'deny' || 'resources' in rule.rule === terms.resource.startsWith('/')) continue
    const limit = nearest[MAX_NEAREST - 1]?.distance ?? Infinity
    const distance = distanceOf(rule, terms, attributes, limit)
    if (distance >= limit) continue
    const place = nearest.findIndex((other) => distance < other.distance)
    nearest.splice(place < 0 ? nearest.length : place, 0, { rule, distance })
    nearest.splice(MAX_NEAREST)
  }
  return nearest.map(({ rule }) => ({
    rule: rule.rule.id,
    location: rule.rule.location,
    missing: PARTS.flatMap((part) => (lacks(rule, part, terms, attributes) ? [phrase(rule, part, terms)] : [])),
  }))
}

/** Grows with the number of parts that a rule lacks and then with their weight. Inexact from `limit` on. */
function distanceOf(rule: CompiledRule, terms: RequestInfoTerms, attributes: Attributes, limit: number): number {
  let distance = 0
  for (let weight = PARTS.length - 1; weight >= 0 && distance < limit; weight -= 1) {
    const part = PARTS[weight]
    if (part !== undefined && lacks(rule, part, terms, attributes)) distance += 100 + weight
  }
  return distance
}

function lacks(rule: CompiledRule, part: Part, terms: RequestInfoTerms, attributes: Attributes): boolean {
  if (part === 'conditions') return rule.condition?.holds(attributes) === false
  if (rule.patterns[part].test(terms[part])) return false
  return !((part === 'namespace' || part === 'name') && resolves(rule.templates[part], attributes.subject, terms[part]))
}

function phrase({ rule, condition }: CompiledRule, part: Part, terms: RequestInfoTerms): string {
  const term = part === 'conditions' ? '' : terms[part]
  switch (part) {
    case 'conditions':
      return condition?.phrase ?? ''
    case 'name':
      return term === '' || term === ALL ? 'requests without a resource name' : `resource name ${excerpt(term)}`
    case 'namespace':
      if (term === ALL) return 'all namespaces'
      return term === '' ? 'the cluster scope' : `namespace ${excerpt(term)}`
    case 'verb':
      return `verb ${excerpt(term.replace('/', ''))}${rule.verbs.includes('*') ? ' by name' : ''}`
    case 'group':
      return `API group ${excerpt(term)}`
    case 'resource': {
      if (term.startsWith('/')) return `path ${excerpt(term)}`
      const covered = 'resources' in rule && rule.resources.includes('*')
      return `resource ${excerpt(term.replace('//', '/'))}${covered ? ' by name' : ''}`
    }
  }
}
