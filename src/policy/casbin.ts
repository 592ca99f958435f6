import { Enforcer, FunctionMap, newModelFromString } from 'casbin'
import { CASBIN_MODEL } from './casbin-model.ts'
import type { PolicyLine } from './casbin-model.ts'
import type { CompilePattern } from './pattern-compiler.ts'
import type { RequestTerms } from './request-terms.ts'

/** A policy line, or a request, as Casbin takes it: its fields in the order of the model. */
export type CasbinFields = string[]

export function casbinLine(line: PolicyLine): CasbinFields {
  const {
    rule,
    subjects,
    sockets,
    verbs,
    groups,
    resources,
    namespaces,
    ownNamespaces,
    names,
    ownNames,
    conditions,
    eft,
  } = line
  return [
    rule,
    subjects,
    sockets,
    verbs,
    groups,
    resources,
    namespaces,
    ownNamespaces,
    names,
    ownNames,
    conditions,
    eft,
  ]
}

export function casbinRequest(terms: RequestTerms): CasbinFields {
  const { subjects, socket, verb, group, resource, namespace, name, conditions } = terms
  return [subjects, socket, verb, group, resource, namespace, name, conditions]
}

/**
 * Casbin over lines that change with each decision, which costs nothing: Casbin keeps no index of its own. It has no
 * adapter, no role manager and no functions but the one it is given, and is made without waiting.
 */
export class CasbinDecider extends Enforcer {
  readonly #policy: { policy: CasbinFields[] }

  constructor(compile: CompilePattern) {
    super()
    this.fm = new FunctionMap()
    this.fm.addFunction('regexMatch', (term: string, pattern: string) => compile(pattern).test(term))
    this.setModel(newModelFromString(CASBIN_MODEL))
    const policy = this.model.model.get('p')?.get('p')
    if (policy === undefined) throw new TypeError('the Casbin model defines no policy')
    this.#policy = policy
  }

  /** The name of the rule that decides: the first line that denies, else the last that allows; null for no opinion. */
  decide(lines: CasbinFields[], request: CasbinFields): string | null {
    this.#policy.policy = lines
    const [allowed, line] = this.enforceExSync(...request)
    const [rule] = line
    if (rule === undefined) return null
    if (allowed !== (line.at(-1) === 'allow')) throw new TypeError('Casbin contradicts its own line')
    return rule
  }
}
