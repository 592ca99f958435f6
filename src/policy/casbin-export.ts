import { CASBIN_MODEL } from './casbin-model.ts'
import { compileRules } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { createPatternCompiler } from './pattern-compiler.ts'
import type { PolicySet } from './policy-set.ts'

/** What a Casbin needs to decide as Postern does: two files. */
export interface CasbinExport {
  readonly model: string
  readonly policy: string
}

/**
 * The rules as a Casbin of JavaScript loads them, what is built in included. Conditions and templates stand in them by
 * name, and comments say what each asks for: whoever asks that Casbin passes the names that hold in `r.conditions`.
 */
export function exportCasbin({ revision, policies }: PolicySet): CasbinExport {
  const rules = compileRules(policies, createPatternCompiler()).toSorted((a, b) => a.rank - b.rank)
  const comments = [`policy revision ${revision}`, ...new Set(rules.flatMap(referencesOf))]
  const lines = rules.map(({ casbinLine }) => ['p', ...casbinLine.map(quoted)].join(', '))
  return { model: CASBIN_MODEL.trimStart(), policy: [...comments.map((text) => `# ${text}`), ...lines, ''].join('\n') }
}

function referencesOf({ condition, templates }: CompiledRule): readonly string[] {
  const except = (patterns: readonly string[]): string =>
    patterns.length === 0 ? '' : ` except ${patterns.join(' and ')}`
  return [
    ...(condition === null ? [] : [`${condition.id} holds with ${condition.phrase}`]),
    ...templates.namespace.map(
      (one) => `namespace-${one.id} holds when the namespace is ${one.entry}${except(one.except)}`,
    ),
    ...templates.name.map((one) => `name-${one.id} holds when the name is ${one.entry}${except(one.except)}`),
  ]
}

/** No field holds a quote or a line break. */
function quoted(field: string): string {
  return `"${field}"`
}
