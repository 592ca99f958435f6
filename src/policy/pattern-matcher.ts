/** Whether a term of a request matches a regular expression of a rule. */
export type PatternMatcher = (term: string, pattern: string) => boolean

/**
 * A matcher that compiles each expression once and keeps it as long as the matcher, so it is for the expressions of one
 * policy and never for those of a caller.
 */
export function createPatternMatcher(): PatternMatcher {
  const compiled = new Map<string, RegExp>()
  return (term, pattern) => {
    let expression = compiled.get(pattern)
    if (expression === undefined) compiled.set(pattern, (expression = new RegExp(pattern)))
    return expression.test(term)
  }
}
