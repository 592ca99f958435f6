import type { Subject } from '../kube/subject.ts'
import { matchesRequest } from './compiled-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { allowsAnything, isBuiltIn } from './reach.ts'
import { ALL, groupTerm, subjectTerms, userTerm } from './request-terms.ts'
import type { RequestInfoTerms } from './request-terms.ts'

/** Stands for any value at a level of the index. */
const ANY = '*'

/** A rule that would need more places than this in the index is found by fewer of its words. */
const MAX_PLACES = 256

/** How many rules of one subject are all looked at for those that come near a request. */
const MAX_NEIGHBOURS = 128

/** How many rules, and how many places of the index, are looked at beyond them for each level that need not match. */
const MAX_RELAXED_RULES = 24
const MAX_RELAXED_STEPS = 200

/** The rules that say the same of whom and where they are about. */
export interface Audience {
  /** In the order of the policies. */
  readonly rules: readonly CompiledRule[]
  /** Whether one of them allows something and is not built in. */
  readonly allows: boolean
  readonly sockets: RegExp
  /** Whether a policy of theirs demands something of the time. */
  readonly dependsOnTime: boolean
}

/** What is about one subject on one socket. */
export interface Concern {
  readonly audiences: ReadonlySet<Audience>
  /** Whether any of them allows something and is not built in. */
  readonly allows: boolean
  /** Whether any of them demands something of the time. */
  readonly dependsOnTime: boolean
}

/**
 * Finds the few rules that match a request. It only narrows: every rule that matches is among the candidates, and whether
 * a candidate matches is for Casbin to say.
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
    const audience = {
      rules,
      allows: allowsAnything(rules),
      sockets: first.patterns.socket,
      dependsOnTime: rules.some(({ condition }) => condition?.circumstances.includes('time')),
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
      const audiences = all.filter((audience) => audience.sockets.test(socket))
      concern = {
        audiences: new Set(audiences),
        allows: audiences.some((audience) => audience.allows),
        dependsOnTime: audiences.some((audience) => audience.dependsOnTime),
      }
      bySocket.set(socket, concern)
    }
    return concern
  }

  /** The rules that match in all but their conditions, in order of rank. */
  candidates(audiences: ReadonlySet<Audience>, terms: RequestInfoTerms, subject: Subject): readonly CompiledRule[] {
    const search = {
      audiences,
      levels: lookups(terms),
      found: new Set<CompiledRule>(),
      rules: Infinity,
      steps: Infinity,
    }
    this.#root.collect(search)
    return [...search.found].filter((rule) => matchesRequest(rule, terms, subject)).sort((a, b) => a.rank - b.rank)
  }

  /**
   * Rules among which those are that come nearest to allowing a request, in the order of the policies and without what is
   * built in. Where the subject has few rules these are all; else some of them, and those that match at every level of
   * the index but one, however many there are.
   */
  neighbours(audiences: ReadonlySet<Audience>, terms: RequestInfoTerms): readonly CompiledRule[] {
    const found = firstOf(audiences, MAX_NEIGHBOURS + 1)
    if (found.size > MAX_NEIGHBOURS) {
      const levels = lookups(terms)
      for (let relaxed = levels.length; relaxed >= 0; relaxed -= 1) {
        this.#root.collect({
          audiences,
          levels: levels.map((words, level) => (level === relaxed ? null : words)),
          found,
          rules: found.size + MAX_RELAXED_RULES,
          steps: MAX_RELAXED_STEPS,
        })
      }
    }
    return [...found].filter((rule) => !isBuiltIn(rule)).sort((a, b) => a.ordinal - b.ordinal)
  }
}

function firstOf(audiences: ReadonlySet<Audience>, limit: number): Set<CompiledRule> {
  const first = new Set<CompiledRule>()
  for (const { rules } of audiences) {
    for (const rule of rules) {
      if (first.size === limit) return first
      first.add(rule)
    }
  }
  return first
}

/** A walk through the index, which ends when it has found as many rules or has taken as many steps. */
interface Search {
  readonly audiences: ReadonlySet<Audience>
  /** The words to look for at each level; null for whatever there is. */
  readonly levels: readonly (readonly string[] | null)[]
  readonly found: Set<CompiledRule>
  readonly rules: number
  steps: number
}

function audienceKey({ policy, line }: CompiledRule): string {
  return JSON.stringify([policy.subjects.users.toSorted(), policy.subjects.groups.toSorted(), line.sockets])
}

/** Levels from this one on may hold patterns. */
const FIRST_PATTERN_DEPTH = 2

/** How long beginning and end of a pattern are, about the first and the last `*`. */
interface Shape {
  readonly beginning: number
  readonly end: number
}

/** One level of the index: resource, verb, namespace, name. The last one holds the rules. */
class Branch {
  readonly #below = new Map<string, Branch>()
  /** Those of the patterns that are here. */
  readonly #shapes = new Map<string, Shape>()
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
      const beginning = word.indexOf('*')
      if (depth >= FIRST_PATTERN_DEPTH && word !== ANY && beginning >= 0) {
        const end = word.length - 1 - beginning
        this.#shapes.set(`${beginning} ${end}`, { beginning, end })
      }
      branch.add(rule, audience, levels, depth + 1)
    }
  }

  collect(search: Search, depth = 0): void {
    if (search.steps <= 0 || search.found.size >= search.rules) return
    search.steps -= 1
    const words = search.levels[depth]
    if (words === undefined) {
      this.#collectRules(search)
      return
    }
    if (words === null) {
      for (const branch of this.#below.values()) {
        if (search.steps <= 0) return
        branch.collect(search, depth + 1)
      }
      return
    }
    for (const word of words) this.#below.get(word)?.collect(search, depth + 1)
    const [asked = ''] = words
    for (const { beginning, end } of this.#shapes.values()) {
      if (beginning + end > asked.length) continue
      const word = `${asked.slice(0, beginning)}*${asked.slice(asked.length - end)}`
      this.#below.get(word)?.collect(search, depth + 1)
    }
  }

  #collectRules(search: Search): void {
    const few = search.audiences.size < this.#rules.size
    for (const audience of few ? search.audiences : this.#rules.keys()) {
      if (search.steps <= 0) return
      search.steps -= 1
      if (!search.audiences.has(audience)) continue
      for (const rule of this.#rules.get(audience) ?? []) {
        if (search.found.size >= search.rules) return
        search.found.add(rule)
      }
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

function patternWords(patterns: readonly string[] | undefined, spanning: boolean): readonly string[] {
  if (patterns === undefined) return [ANY]
  const words = patterns.map(patternWord)
  return spanning ? [...words, ALL] : words
}

/** A pattern is found by what stands before its first `*` or template and after its last, as `BEGINNING*END`. */
function patternWord(pattern: string): string {
  const [, beginning, end] = /^(.*?)(?:\*|\{\{)(?:.*(?:\*|\}\}))?(.*)$/s.exec(pattern) ?? []
  return beginning === undefined || end === undefined ? pattern : `${beginning}*${end}`
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
