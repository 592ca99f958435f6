/** The regular expression of a pattern, compiled once. */
export type CompilePattern = (pattern: string) => RegExp

/** Keeps each expression as long as itself, so it is for the patterns of one policy and never for those of a caller. */
export function createPatternCompiler(): CompilePattern {
  const compiled = new Map<string, RegExp>()
  return (pattern) => {
    let expression = compiled.get(pattern)
    if (expression === undefined) compiled.set(pattern, (expression = new RegExp(pattern)))
    return expression
  }
}
