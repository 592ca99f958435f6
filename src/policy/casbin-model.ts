import type { Policy, Rule } from './policy-set.ts'
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
p = rule, subjects, sockets, verbs, groups, resources, namespaces, names, conditions, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = p.rule != "" && \\
  regexMatch(r.namespace, p.namespaces) && \\
  regexMatch(r.name, p.names) && \\
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
  readonly names: string
  readonly conditions: string
  readonly eft: 'allow' | 'deny'
}

const ANY = '^'

/** The line of one rule. `condition` is the identifier of what its policy demands, empty for nothing. */
export function policyLine(policy: Policy, rule: Rule, condition: string): PolicyLine {
  const { groups, users } = policy.subjects
  const deny = rule.effect === 'deny'
  return {
    rule: rule.id,
    subjects: ` (?:${[...users.map(userTerm), ...groups.map(groupTerm)].map(literal).join('|')}) `,
    sockets: oneOf(policy.sockets, (socket) => glob(socket)),
    verbs: oneOf(rule.verbs, (verb) => (verb === '*' ? `${deny ? '/?' : ''}[^/]+` : literal(verbTerm(verb)))),
    ...('resources' in rule
      ? {
          groups: rule.apiGroups?.includes('*') === true ? ANY : oneOf(rule.apiGroups, literal),
          resources: oneOf(rule.resources, (resource) => resourcePattern(resource, deny)),
          namespaces: oneOf(rule.namespaces, glob, deny),
          names: oneOf(rule.resourceNames, glob, deny),
        }
      : { groups: ANY, resources: oneOf(rule.nonResourceURLs, pathPattern), namespaces: ANY, names: ANY }),
    conditions: condition === '' ? ANY : ` ${literal(condition)} `,
    eft: rule.effect,
  }
}

/** A deny matches a request over all names or namespaces, since it includes what is denied; an allow does not. */
function oneOf(values: readonly string[] | undefined, pattern: (value: string) => string, spanning = false): string {
  if (values === undefined) return ANY
  const patterns = values.map(pattern)
  if (spanning) patterns.push(ALL)
  return `^(?:${patterns.join('|')})$`
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

/** `*` stands for any characters, but alone it stands for at least one. */
function glob(pattern: string): string {
  return pattern === '*' ? '[^/]+' : pattern.split('*').map(literal).join('[^/]*')
}

/** Text as a regular expression that has no comma, bracket or quote of its own, for the sake of CSV. */
function literal(text: string): string {
  return text.replace(/[^A-Za-z0-9/:%_ -]/g, (character) => {
    if (character === '.') return '\\.'
    const code = character.charCodeAt(0).toString(16)
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`
  })
}
