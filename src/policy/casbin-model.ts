import type { Policy, Rule } from './policy-set.ts'
import { isTemplate } from './templates.ts'
import { ALL, groupTerm, resourceTerm, userTerm, verbTerm } from './request-terms.ts'

/**
 * The Casbin model. Every field of a policy line is a regular expression over one term of the request, so that a stock
 * Casbin with nothing registered decides the same.
 *
 * A line without a rule name matches nothing: Casbin evaluates the matcher over empty fields when there are no lines.
 */
export const CASBIN_MODEL = `
[request_definition]
r = subjects, socket, verb, group, resource, namespace, name, conditions

[policy_definition]
p = rule, subjects, sockets, verbs, groups, resources, namespaces, ownNamespaces, names, ownNames, conditions, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = p.rule != "" && \\
  (regexMatch(r.namespace, p.namespaces) || regexMatch(r.conditions, p.ownNamespaces)) && \\
  (regexMatch(r.name, p.names) || regexMatch(r.conditions, p.ownNames)) && \\
  regexMatch(r.resource, p.resources) && \\
  regexMatch(r.verb, p.verbs) && \\
  regexMatch(r.group, p.groups) && \\
  regexMatch(r.socket, p.sockets) && \\
  regexMatch(r.conditions, p.conditions) && \\
  regexMatch(r.subjects, p.subjects)
`

/** A policy line: its fields by name. */
export interface PolicyLine {
  readonly rule: string
  readonly subjects: string
  readonly sockets: string
  readonly verbs: string
  readonly groups: string
  readonly resources: string
  readonly namespaces: string
  /** The templates, one of which may resolve to the namespace instead; read from the term `conditions`. */
  readonly ownNamespaces: string
  readonly names: string
  readonly ownNames: string
  readonly conditions: string
  readonly eft: 'allow' | 'deny'
}

const ANY = '^'

const NOTHING = '(?!)'

/** What the line of a rule refers to by name. */
export interface LineReferences {
  /** Of what its policy demands; empty for nothing. */
  readonly condition: string
  /** Of the templates among its namespaces. */
  readonly namespaces: readonly string[]
  /** Of the templates among its names. */
  readonly names: readonly string[]
}

/** The line of one rule. */
export function policyLine(policy: Policy, rule: Rule, references: LineReferences): PolicyLine {
  const { groups, users } = policy.subjects
  const deny = rule.effect === 'deny'
  return {
    rule: rule.id,
    subjects: between([...users.map(userTerm), ...groups.map(groupTerm)]),
    sockets: oneOf(policy.sockets, (socket) => glob(socket)),
    verbs: oneOf(rule.verbs, (verb) => (verb === '*' ? `${deny ? '/?' : ''}[^/]+` : literal(verbTerm(verb)))),
    ...('resources' in rule
      ? {
          groups: without(
            rule.except?.apiGroups?.map(groupPattern),
            rule.apiGroups?.includes('*') === true ? ANY : oneOf(rule.apiGroups, literal),
          ),
          resources: without(
            rule.except?.resources?.map((resource) => exceptedResource(resource, deny)),
            oneOf(rule.resources, (resource) => resourcePattern(resource, deny)),
          ),
          namespaces: without(excepted(rule.except?.namespaces, deny ? [] : [ALL]), oneOf(rule.namespaces, glob, deny)),
          names: without(
            excepted(rule.except?.resourceNames, deny ? [] : [ALL, '']),
            oneOf(rule.resourceNames, glob, deny),
          ),
        }
      : { groups: ANY, resources: oneOf(rule.nonResourceURLs, pathPattern), namespaces: ANY, names: ANY }),
    ownNamespaces: between(references.namespaces),
    ownNames: between(references.names),
    conditions: references.condition === '' ? ANY : between([references.condition]),
    eft: rule.effect,
  }
}

/** A deny matches a request over all names or namespaces, since it includes what is denied; an allow does not. */
function oneOf(values: readonly string[] | undefined, pattern: (value: string) => string, spanning = false): string {
  if (values === undefined) return ANY
  const patterns = values.filter((value) => !isTemplate(value)).map(pattern)
  if (spanning) patterns.push(ALL)
  if (patterns.length === 0) return NOTHING
  return `^(?:${patterns.join('|')})$`
}

/** One of these words between spaces. A space at the end of a field is lost in a CSV file, so it is escaped. */
function between(words: readonly string[]): string {
  return words.length === 0 ? NOTHING : `\\x20(?:${words.map(literal).join('|')})\\x20`
}

/** A pattern that is not for what any of the others matches whole. */
function without(patterns: readonly string[] | undefined, pattern: string): string {
  if (patterns === undefined || pattern === NOTHING) return pattern
  const rest = pattern === ANY ? '' : pattern.slice(1)
  return `^(?!(?:${patterns.join('|')})$)${rest}`
}

/** What is excepted from an allow includes requests that may reach it by another name. */
function excepted(values: readonly string[] | undefined, more: readonly string[]): readonly string[] | undefined {
  return values === undefined ? undefined : [...values.map(glob), ...more]
}

function groupPattern(group: string): string {
  return group === '*' ? '[\\s\\S]*' : literal(group)
}

/** An exception from an allow takes subresources with it, however dangerous; one from a deny is as narrow as an allow. */
function exceptedResource(written: string, deny: boolean): string {
  if (deny || written.includes('/')) return resourcePattern(written, false)
  return `${written === '*' ? '[^/]+' : literal(written)}(?://?[^/]+)?`
}

function resourcePattern(written: string, deny: boolean): string {
  const [resource = '', subresource] = written.split('/')
  if (subresource === undefined) {
    if (resource !== '*') return literal(resource)
    return deny ? '[^/]+(?://?[^/]+)?' : '[^/]+(?:/[^/]+)?'
  }
  if (resource !== '*' && subresource !== '*') return literal(resourceTerm(resource, subresource))
  return `${resource === '*' ? '[^/]+' : literal(resource)}//?${subresource === '*' ? '[^/]+' : literal(subresource)}`
}

function pathPattern(url: string): string {
  if (url === '*') return '/[\\s\\S]*'
  return url.endsWith('*') ? `${literal(url.slice(0, -1))}[\\s\\S]*` : literal(url)
}

/** `*` stands for any characters, but a whole name, as where stars are all there is, has at least one. */
function glob(pattern: string): string {
  return /^\*+$/.test(pattern) ? '[^/]+' : pattern.split(/\*+/).map(literal).join('[^/]*')
}

/** Text as a regular expression that has no comma, bracket or quote of its own, for the sake of CSV. */
function literal(text: string): string {
  return text.replace(/[^A-Za-z0-9/:%_ -]/g, (character) => {
    if (character === '.') return '\\.'
    const code = character.charCodeAt(0).toString(16)
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`
  })
}
