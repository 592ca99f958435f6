import type { Attributes } from './authorizer.ts'
import { compileRules, matchesRequest } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import type { Circumstance } from './conditions.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import type { PolicySet } from './policy-set.ts'
import { requestInfoTerms, subjectTerms } from './request-terms.ts'

/** Which rules match a request, one by one and not as a decision. For tools: it looks at every rule. */
export interface RuleMatcher {
  /** Rules that match, whether their conditions hold or not. */
  readonly matching: (attributes: Attributes) => readonly CompiledRule[]
  /** The circumstances that the conditions of these rules ask for. */
  readonly dependsOn: (attributes: Attributes) => readonly Circumstance[]
}

export function createRuleMatcher({ policies }: PolicySet): RuleMatcher {
  const rules = compileRules(policies, createPatternCompiler())
  const matching = ({ subject, requestInfo, socket }: Attributes): readonly CompiledRule[] => {
    const terms = requestInfoTerms(requestInfo)
    const subjects = ` ${subjectTerms(subject).join(' ')} `
    return rules.filter(
      (rule) =>
        rule.patterns.subjects.test(subjects) &&
        rule.patterns.socket.test(socket) &&
        matchesRequest(rule, terms, subject),
    )
  }
  return {
    matching,
    dependsOn: (attributes) => [
      ...new Set(matching(attributes).flatMap(({ condition }) => condition?.circumstances ?? [])),
    ],
  }
}
