import type { Subject } from '../kube/subject.ts'
import type { CompiledRule, NamedCondition } from './compiled-rule.ts'
import { allowsAnything } from './reach.ts'
import { ALL, groupTerm, subjectTerms, userTerm } from './request-terms.ts'
import type { RequestInfoTerms } from './request-terms.ts'

/** Stands for any value at a level of the index. */
const ANY = '*'

/** A rule that would need more places than this in the index is found by fewer of its words. */
const MAX_PLACES = 256

/** The rules that say the same of whom and where they are about. */
export interface Audience {
  /** In the order of the policies. */
  readonly rules: readonly CompiledRule[]
  /** Whether one of them allows something and is not built in. */
  readonly allows: boolean
  readonly sockets: RegExp
  readonly conditions: readonly NamedCondition[]
}

/** What is about one subject on one socket. */
export interface Concern {
  readonly audiences: ReadonlySet<Audience>
  /** What the policies demand, each once. */
  readonly conditions: readonly NamedCondition[]
}

/**
 * Finds the few rules that may match a request. It only narrows: every rule that matches is among the candidates, and
 * whether a candidate matches is for Casbin to say.
 */
export class RuleIndex {
  readonly #root = new Branch()
  readonly #byTerm = new Map<string, Audience[]>()
  /** By subject and socket; subjects never change, and sockets are few. */
  readonly #known = new WeakMap<Subject, Map<string, Concern>>()

  constructor(rules: readonly CompiledRule[]) {
    for (const group of Map.groupBy(rules, audienceKey).values()) this.#add(group)
  }

  #add(rules: readonly CompiledRule[]): void {
    const [first] = rules
    if (first === undefined) return
    const conditions = new Set(rules.map((rule) => rule.condition).filter((condition) => condition !== null))
    const audience = {
      rules,
      allows: allowsAnything(rules),
      sockets: first.patterns.socket,
      conditions: [...conditions],
    }
    for (const rule of rules) this.#root.add(rule, audience, placesOf(rule))
    const { users, groups } = first.policy.subjects
    for (const term of new Set([...users.map(userTerm), ...groups.map(groupTerm)])) {
      const audiences = this.#byTerm.get(term)
      if (audiences === undefined) this.#byTerm.set(term, [audience])
      else audiences.push(audience)
    }
  }

  /** The rules about a subject on a socket. */
  concerning(subject: Subject, socket: string): Concern {
    let bySocket = this.#known.get(subject)
    if (bySocket === undefined) this.#known.set(subject, (bySocket = new Map<string, Concern>()))
    let concern = bySocket.get(socket)
    if (concern === undefined) {
      const all = subjectTerms(subject).flatMap((term) => this.#byTerm.get(term) ?? [])
      const audiences = new Set(all.filter((audience) => audience.sockets.test(socket)))
      const conditions = new Set([...audiences].flatMap((audience) => audience.conditions))
      concern = { audiences, conditions: [...conditions] }
      bySocket.set(socket, concern)
    }
    return concern
  }

  /** The rules that may match, in order of rank. */
  candidates(audiences: ReadonlySet<Audience>, terms: RequestInfoTerms): readonly CompiledRule[] {
    const found = new Set<CompiledRule>()
    this.#root.collect(audiences, lookups(terms), 0, found)
    return [...found]
      .filter(
        ({ patterns, templates }) =>
          (patterns.namespace.test(terms.namespace) || templates.namespace.length > 0) &&
          (patterns.name.test(terms.name) || templates.name.length > 0),
      )
      .sort((a, b) => a.rank - b.rank)
  }
}

function audienceKey({ policy, line }: CompiledRule): string {
  return JSON.stringify([policy.subjects.users.toSorted(), policy.subjects.groups.toSorted(), line.sockets])
}

/** Levels from this one on may hold the beginnings of patterns. */
const FIRST_PATTERN_DEPTH = 2

/** One level of the index: resource, verb, namespace, name. The last one holds the rules. */
class Branch {
  readonly #below = new Map<string, Branch>()
  /** How long the beginnings are that patterns have here. */
  readonly #beginnings = new Set<number>()
  readonly #rules = new Map<Audience, CompiledRule[]>()

  add(rule: CompiledRule, audience: Audience, levels: readonly (readonly string[])[], depth = 0): void {
    const words = levels[depth]
    if (words === undefined) {
      const rules = this.#rules.get(audience)
      if (rules === undefined) this.#rules.set(audience, [rule])
      else rules.push(rule)
      return
    }
    for (const word of new Set(words)) {
      let branch = this.#below.get(word)
      if (branch === undefined) this.#below.set(word, (branch = new Branch()))
      if (depth >= FIRST_PATTERN_DEPTH && word !== ANY && word.endsWith('*')) this.#beginnings.add(word.length - 1)
      branch.add(rule, audience, levels, depth + 1)
    }
  }

  collect(
    audiences: ReadonlySet<Audience>,
    levels: readonly (readonly string[])[],
    depth: number,
    into: Set<CompiledRule>,
  ): void {
    const words = levels[depth]
    if (words === undefined) {
      this.#collectRules(audiences, into)
      return
    }
    for (const word of words) this.#below.get(word)?.collect(audiences, levels, depth + 1, into)
    const [asked = ''] = words
    for (const length of this.#beginnings) {
      if (length > asked.length) continue
      this.#below.get(`${asked.slice(0, length)}*`)?.collect(audiences, levels, depth + 1, into)
    }
  }

  #collectRules(audiences: ReadonlySet<Audience>, into: Set<CompiledRule>): void {
    if (audiences.size < this.#rules.size) {
      for (const audience of audiences) for (const rule of this.#rules.get(audience) ?? []) into.add(rule)
    } else {
      for (const [audience, rules] of this.#rules) if (audiences.has(audience)) for (const rule of rules) into.add(rule)
    }
  }
}

/** The words that a rule is found by, at each level. */
function placesOf({ rule }: CompiledRule): readonly (readonly string[])[] {
  if (!('resources' in rule)) return [rule.nonResourceURLs.map(pathWord), rule.verbs, [ANY], [ANY]]
  const spanning = rule.effect === 'deny'
  const levels = [
    rule.resources,
    rule.verbs,
    patternWords(rule.namespaces, spanning),
    patternWords(rule.resourceNames, spanning),
  ]
  for (let level = levels.length - 1; level > 0 && places(levels) > MAX_PLACES; level -= 1) levels[level] = [ANY]
  return levels
}

function places(levels: readonly (readonly string[])[]): number {
  return levels.reduce((product, words) => product * words.length, 1)
}

/** A pattern is found by what stands before its first `*` or template, as `BEGINNING*`. */
function patternWords(patterns: readonly string[] | undefined, spanning: boolean): readonly string[] {
  if (patterns === undefined) return [ANY]
  const words = patterns.map((pattern) => {
    const end = pattern.search(/\*|\{\{/)
    return end < 0 ? pattern : `${pattern.slice(0, end)}*`
  })
  return spanning ? [...words, ALL] : words
}

/** The words that may lead to a rule that matches. */
function lookups({ resource, verb, namespace, name }: RequestInfoTerms): readonly (readonly string[])[] {
  return [resourceWords(resource), [verb.startsWith('/') ? verb.slice(1) : verb, ANY], [namespace, ANY], [name, ANY]]
}

function resourceWords(term: string): readonly string[] {
  if (term.startsWith('/')) return [term, pathWord(`${term}*`), '/*']
  const [resource = '', ...rest] = term.split('/')
  const subresource = rest.at(-1)
  if (subresource === undefined) return [resource, ANY]
  return [`${resource}/${subresource}`, `${resource}/*`, `*/${subresource}`, '*/*', ANY]
}

/** Paths with a `*` are found by their first segment when that is whole. */
function pathWord(url: string): string {
  if (!url.endsWith('*')) return url
  const [, first = '', ...rest] = url.split('/')
  return rest.length > 0 ? `/${first}/*` : '/*'
}
