import type { Subject } from '../kube/subject.ts'

/** Most values of one subject that a template stands for; further ones do not count. */
const MAX_VALUES = 100

/** The key of a further claim, as `claimMappings.extra` of an issuer names it. */
export const EXTRA_KEY = '[a-z0-9](?:[a-z0-9._/:@%+~=-]{0,251}[a-z0-9])?'

/** Source of a regular expression for what stands in for a part of the subject. */
export const TEMPLATE = `\\{\\{ *subject\\.(?:username|groups|extra\\.${EXTRA_KEY}) *\\}\\}`

const PARTS = /^(.*)\{\{ *subject\.(username|groups|extra\.(.+?)) *\}\}(.*)$/s

/**
 * What a value may hold to stand in a pattern. One that is empty, has a wildcard or is no name at all stands for
 * nothing.
 */
const VALUE = /^[^\s/%?*[\]{}\p{C}]{1,253}$/u

/** An entry of a list that is another one for each subject, such as `team-{{ subject.extra.team }}`. */
export interface Template {
  /** As it is written. */
  readonly entry: string
  /** The patterns that it is for a subject, each of which matches; `*` in them stands where the entry has it. */
  readonly patternsFor: (subject: Subject) => readonly string[]
  /** Whether one of these matches a name. Values are taken literally; a request over all names matches none. */
  readonly matches: (subject: Subject, name: string) => boolean
}

export function isTemplate(entry: string): boolean {
  return entry.includes('{{')
}

/**
 * Expects an entry with one {@link TEMPLATE}. What matches one of the patterns in `except` it does not stand for.
 *
 * @throws TypeError for any other.
 */
export function compileTemplate(entry: string, except: readonly string[] = []): Template {
  const [, before, source = '', key, after] = PARTS.exec(entry) ?? []
  if (before === undefined || after === undefined) throw new TypeError(`${entry} is not a template`)
  const valuesOf = (subject: Subject): readonly string[] =>
    valuesIn(subject, source, key)
      .filter((value) => VALUE.test(value))
      .slice(0, MAX_VALUES)
  const excepted = except.length === 0 ? null : new RegExp(`^(?:${except.map(glob).join('|')})$`)
  const literals = [...before.split('*'), ...after.split('*')].filter((text) => text !== '')
  const compiled = new WeakMap<Subject, RegExp | null>()
  return {
    entry,
    patternsFor: (subject) => valuesOf(subject).map((value) => `${before}${value}${after}`),
    matches: (subject, name) => {
      // Spares most subjects the expression of most templates, which costs more than all else.
      if (!literals.every((text) => name.includes(text))) return false
      let pattern = compiled.get(subject)
      if (pattern === undefined) compiled.set(subject, (pattern = patternOf(before, valuesOf(subject), after)))
      return pattern !== null && pattern.test(name) && excepted?.test(name) !== true
    },
  }
}

function valuesIn(subject: Subject, source: string, key: string | undefined): readonly string[] {
  if (source === 'username') return [subject.username]
  if (source === 'groups') return subject.groups
  return key !== undefined && Object.hasOwn(subject.extra, key) ? (subject.extra[key] ?? []) : []
}

function patternOf(before: string, values: readonly string[], after: string): RegExp | null {
  if (values.length === 0) return null
  return new RegExp(`^${glob(before)}(?:${values.map(RegExp.escape).join('|')})${glob(after)}$`)
}

function glob(text: string): string {
  return text.split('*').map(RegExp.escape).join('[^/]*')
}
