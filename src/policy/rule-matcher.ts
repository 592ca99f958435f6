import type { Subject } from '../kube/subject.ts'
import type { Attributes } from './authorizer.ts'
import { compileRules, resolves } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import type { Circumstance } from './conditions.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import type { PolicySet } from './policy-set.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'
import type { RequestTerms } from './request-terms.ts'

/** Which rules match a request, one by one and not as a decision. For tools: it looks at every rule. */
export interface RuleMatcher {
  /** Rules that match, whether their conditions hold or not. */
  readonly matching: (attributes: Attributes) => readonly CompiledRule[]
  /** The circumstances that the conditions of these rules ask for. */
  readonly dependsOn: (attributes: Attributes) => readonly Circumstance[]
}

export function createRuleMatcher({ policies }: PolicySet): RuleMatcher {
  const rules = compileRules(policies, createPatternCompiler())
  const matching = (attributes: Attributes): readonly CompiledRule[] => {
    const terms = termsOf(attributes)
    return rules.filter((rule) => matches(rule, terms, attributes.subject))
  }
  return {
    matching,
    dependsOn: (attributes) => [
      ...new Set(matching(attributes).flatMap(({ condition }) => condition?.circumstances ?? [])),
    ],
  }
}

type Terms = Omit<RequestTerms, 'conditions'>

function termsOf({ subject, requestInfo, socket }: Attributes): Terms {
  return { ...requestInfoTerms(requestInfo), subjects: ` ${subjectTerms(subject).join(' ')} `, socket }
}

function matches({ patterns, templates }: CompiledRule, terms: Terms, subject: Subject): boolean {
  return (
    patterns.subjects.test(terms.subjects) &&
    patterns.socket.test(terms.socket) &&
    patterns.verb.test(terms.verb) &&
    patterns.group.test(terms.group) &&
    patterns.resource.test(terms.resource) &&
    (patterns.namespace.test(terms.namespace) || resolves(templates.namespace, subject, terms.namespace)) &&
    (patterns.name.test(terms.name) || resolves(templates.name, subject, terms.name))
  )
}
