import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { policyText } from '../../test/support/policies.ts'
import { DocumentError, parseDocument } from '../document/document.ts'
import { policyDocumentSchema } from './policy-document.ts'

// Attack E30.

function mistakesIn(text: string): readonly string[] {
  try {
    parseDocument(policyDocumentSchema, text, 'p.yaml')
  } catch (error) {
    if (error instanceof DocumentError)
      return error.mistakes.map(({ path, problem, expected }) => [path, problem, expected].join('|'))
    throw error
  }
  return []
}

const spec = (rest: string): readonly string[] => mistakesIn(policyText('p', `subjects: { users: [ana] }, ${rest}`))
const rule = (text: string): readonly string[] => spec(`rules: [${text}]`)

describe('a rule', () => {
  test.each<[text: string, mistake: string]>([
    ['{ resources: [pods] }', 'spec.rules[0].verbs|is missing|a list'],
    ['{ verbs: [get] }', 'spec.rules[0].resources|is missing|a list'],
    ['{ verbs: [], resources: [pods] }', 'spec.rules[0].verbs|is an empty list|at least 1 entry'],
    ['{ verbs: [get], resources: [] }', 'spec.rules[0].resources|is an empty list|at least 1 entry'],
    [
      '{ verbs: [get], resources: [pods], namespaces: [] }',
      'spec.rules[0].namespaces|is an empty list|at least 1 entry',
    ],
    ['{ verbs: [get], resources: [pods], apiGroups: [] }', 'spec.rules[0].apiGroups|is an empty list|at least 1 entry'],
    [
      '{ verbs: [get], resources: [pods], resourceNames: [] }',
      'spec.rules[0].resourceNames|is an empty list|at least 1 entry',
    ],
    ['{ verbs: [get], nonResourceURLs: [] }', 'spec.rules[0].nonResourceURLs|is an empty list|at least 1 entry'],
    ['{ verbs: [get], resources: [pods], nonResourceURLs: [/x] }', 'spec.rules[0].nonResourceURLs|unknown key|'],
    ['{ verbs: [get], nonResourceURLs: [/x], namespaces: [a] }', 'spec.rules[0].namespaces|unknown key|'],
    ['{ verbs: [Get], resources: [pods] }', 'spec.rules[0].verbs[0]|is "Get"|a verb'],
    ['{ verbs: ["get*"], resources: [pods] }', 'spec.rules[0].verbs[0]|is "get*"|a verb'],
    ['{ verbs: [""], resources: [pods] }', 'spec.rules[0].verbs[0]|is an empty string|a verb'],
    ['{ verbs: [get], resources: [""] }', 'spec.rules[0].resources[0]|is an empty string|a plural'],
    ['{ verbs: [get], resources: ["pod*"] }', 'spec.rules[0].resources[0]|is "pod*"|a plural'],
    ['{ verbs: [get], resources: [pods/] }', 'spec.rules[0].resources[0]|is "pods/"|a plural'],
    ['{ verbs: [get], resources: [pods/exec/x] }', 'spec.rules[0].resources[0]|is "pods/exec/x"|a plural'],
    ['{ verbs: [get], resources: [Pod] }', 'spec.rules[0].resources[0]|is "Pod"|a plural'],
    ['{ verbs: [get], resources: [pods], apiGroups: ["*.io"] }', 'spec.rules[0].apiGroups[0]|is "*.io"|an API group'],
    [
      '{ verbs: [get], resources: [pods], namespaces: [""] }',
      'spec.rules[0].namespaces[0]|is an empty string|a namespace',
    ],
    [
      '{ verbs: [get], resources: [pods], namespaces: ["a*b*c*"] }',
      'spec.rules[0].namespaces[0]|is "a*b*c*"|at most two',
    ],
    [
      '{ verbs: [get], resources: [nodes], namespaces: ["**"] }',
      'spec.rules[0].namespaces[0]|is "**"|"*" in place of "**"',
    ],
    [
      '{ verbs: [create], resources: [configmaps], resourceNames: ["a**"] }',
      'spec.rules[0].resourceNames[0]|is "a**"|"*" in place of "**"',
    ],
    [
      '{ verbs: [get], resources: [pods], namespaces: ["{{ subject.username }}**"] }',
      'spec.rules[0].namespaces[0]|is "{{ subject.username }}**"|"*" in place of "**"',
    ],
    [
      '{ verbs: [get], resources: [pods], except: { namespaces: ["**a"] } }',
      'spec.rules[0].except.namespaces[0]|is "**a"|"*" in place of "**"',
    ],
    [
      '{ verbs: [get], resources: [pods], except: { resourceNames: ["**"] } }',
      'spec.rules[0].except.resourceNames[0]|is "**"|"*" in place of "**"',
    ],
    [
      '{ verbs: [get], resources: [pods], namespaces: ["{{ x }}"] }',
      'spec.rules[0].namespaces[0]|is "{{ x }}"|a namespace',
    ],
    ['{ verbs: [get], resources: [pods], resourceNames: [a/b] }', 'spec.rules[0].resourceNames[0]|is "a/b"|the name'],
    [
      '{ verbs: [get], resources: [pods], resourceNames: ["{{ x }}"] }',
      'spec.rules[0].resourceNames[0]|is "{{ x }}"|the name',
    ],
    [
      '{ verbs: [get], resources: [pods], resourceNames: ["web-?"] }',
      'spec.rules[0].resourceNames[0]|is "web-?"|the name',
    ],
    [
      '{ verbs: [get], resources: [pods], namespaces: ["{{ subject.password }}"] }',
      'spec.rules[0].namespaces[0]|is "{{ subject.password }}"|a namespace',
    ],
    [
      '{ verbs: [get], resources: [pods], namespaces: ["{{ subject.username }}{{ subject.groups }}"] }',
      'spec.rules[0].namespaces[0]|is ',
    ],
    [
      '{ effect: deny, verbs: [get], resources: [pods], namespaces: ["{{ subject.username }}"] }',
      'spec.rules[0]|denies by a template, which denies nothing where it stands for nothing|templates only',
    ],
    ['{ verbs: [get], resources: ["*"], except: {} }', 'spec.rules[0].except|is empty|one of'],
    [
      '{ verbs: [get], resources: ["*"], except: { resources: [] } }',
      'spec.rules[0].except.resources|is an empty list|',
    ],
    [
      '{ verbs: [get], resources: ["*"], except: { namespaces: ["{{ subject.username }}"] } }',
      'spec.rules[0].except.namespaces[0]|is "{{ subject.username }}"|a namespace',
    ],
    ['{ verbs: [get], resources: ["*"], except: { verbs: [get] } }', 'spec.rules[0].except.verbs|unknown key|'],
    ['{ verbs: [get], nonResourceURLs: [metrics] }', 'spec.rules[0].nonResourceURLs[0]|is "metrics"|a path'],
    ['{ verbs: [get], nonResourceURLs: ["/a*b"] }', 'spec.rules[0].nonResourceURLs[0]|is "/a*b"|a path'],
    ['{ effect: maybe, verbs: [get], resources: [pods] }', 'spec.rules[0].effect|is "maybe"|"allow" or "deny"'],
    [
      '{ effect: deny, verbs: [get], resources: [pods], session: { record: off } }',
      'spec.rules[0].session|stands in a rule that denies|',
    ],
    [
      '{ verbs: [get], resources: [pods], session: { record: true } }',
      'spec.rules[0].session.record|is true|one of "required", "best-effort", "off"',
    ],
    [
      '{ verbs: [create], resources: [pods/exec], session: { record: always } }',
      'spec.rules[0].session.record|is "always"|one of "required", "best-effort", "off"',
    ],
    [
      '{ verbs: [create], resources: [pods/exec], session: { idleTimeout: 10ms } }',
      'spec.rules[0].session.idleTimeout|is 10ms|at least 1s',
    ],
    [
      '{ verbs: [create], resources: [pods/exec], session: { maxConcurrent: 0 } }',
      'spec.rules[0].session.maxConcurrent|is the number 0|at least 1',
    ],
    [
      '{ verbs: [get], resources: [pods], session: { maxDuration: 8 } }',
      'spec.rules[0].session.maxDuration|is the number 8|a duration',
    ],
    [
      '{ verbs: [get], resources: [pods], session: { maxDuration: 0s } }',
      'spec.rules[0].session.maxDuration|is 0s|at least 1s',
    ],
  ])('%s', (text, mistake) => {
    const mistakes = rule(text)
    expect(mistakes).toHaveLength(1)
    expect(mistakes[0]).toContain(mistake)
  })

  test('with a mistyped list is told so', () => {
    expect(rule('{ verbs: [get], resource: [pods] }')).toContain(
      'spec.rules[0].resource|unknown key, did you mean "resources"?|',
    )
  })

  test('can use every word there is', () => {
    expect(
      rule(`{ effect: allow, verbs: [get, "*", "impersonate-on:user-info:list"], apiGroups: ["", "*", apps, a.example.com],
        resources: [pods, "*", pods/log, "pods/*", "*/scale", "*/*"], namespaces: [a, "*", "a-*-b", "9"],
        resourceNames: ["system:node", "a*", sh.helm.release.v1.web.v1], session: { record: off, maxDuration: 8h } },
        { verbs: ["*"], resources: ["*"], namespaces: ["{{ subject.username }}", "team-{{subject.extra.example.com/team}}-*"],
        resourceNames: ["{{ subject.groups }}.x"], except: { apiGroups: [""], resources: [secrets, pods/log], namespaces: ["kube-*"], resourceNames: [a] } },
        { effect: deny, verbs: [get, head], nonResourceURLs: [/a, "/a/*", "/a*", "*", /] }`),
    ).toEqual([])
  })
})

describe('a document', () => {
  test.each<[name: string, mistakes: readonly string[], expected: string]>([
    ['without rules', spec('rules: []'), 'spec.rules|is an empty list|at least 1 entry'],
    [
      'with an empty list of sockets',
      spec('sockets: [], rules: [{ verbs: [get], resources: [pods] }]'),
      'spec.sockets|is an empty list',
    ],
    [
      'with a condition that nobody knows',
      spec('conditions: { moon: full }, rules: [{ verbs: [get], resources: [pods] }]'),
      'spec.conditions.moon|unknown key',
    ],
    [
      'about nobody',
      mistakesIn(policyText('p', 'subjects: {}, rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects|names nobody|',
    ],
    [
      'about nobody in two ways',
      mistakesIn(policyText('p', 'subjects: { users: [], groups: [] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects|names nobody|',
    ],
    [
      'without subjects',
      mistakesIn(policyText('p', 'rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects|is missing|',
    ],
    [
      'about any user',
      mistakesIn(policyText('p', 'subjects: { users: ["*"] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects.users[0]|is "*"|an exact name',
    ],
    [
      'about a user with a space at the end',
      mistakesIn(policyText('p', 'subjects: { users: ["ana "] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects.users[0]|is "ana "|',
    ],
    [
      'about a user whose name is no text',
      mistakesIn(policyText('p', 'subjects: { users: ["a\\ud800"] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'spec.subjects.users[0]|is ',
    ],
    [
      'with a name of ours',
      mistakesIn(policyText('postern', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'metadata.name|is "postern"|',
    ],
    [
      'with a strange name',
      mistakesIn(policyText('"a#1"', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]')),
      'metadata.name|is "a#1"|',
    ],
    [
      'of another kind',
      mistakesIn(
        policyText('p', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]').replace(
          'Policy',
          'Connector',
        ),
      ),
      'kind|is "Connector"|',
    ],
    [
      'of another version',
      mistakesIn(
        policyText('p', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]').replace(
          'v1alpha1',
          'v1',
        ),
      ),
      'apiVersion|is "postern.dev/v1"|',
    ],
    [
      'with a test that expects nothing',
      mistakesIn(
        `${policyText('p', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]')}tests: [{ name: t, as: { user: ana }, request: get pods }]`,
      ),
      'tests[0].expect|is missing|',
    ],
  ])('%s is a mistake', (_, mistakes, expected) => {
    expect(mistakes).toHaveLength(1)
    expect(mistakes[0]).toContain(expected)
  })

  test('can say all that there is to say', () => {
    const text = `
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: payments-developers }
spec:
  sockets: [production]
  subjects: { groups: [payments-dev], users: [] }
  conditions: { sourceIPs: [10.0.0.0/8], timeOfDay: { from: "08:00", to: "18:00", timeZone: Europe/Berlin } }
  rules:
  - { verbs: [list], resources: [pods, deployments], apiGroups: ["", apps] }
  - { verbs: [create], resources: [pods/exec], session: { maxDuration: 8h } }
  - { effect: deny, verbs: ["*"], resources: [secrets] }
`
    expect(mistakesIn(text)).toEqual([])
  })

  test('keeps its tests', () => {
    const text = `${policyText('p', 'subjects: { users: [ana] }, rules: [{ verbs: [get], resources: [pods] }]')}tests:
- { name: cannot read secrets, as: { user: ana@example.com, groups: [payments-dev] }, request: get secrets/db -n default, expect: deny }
`
    expect(parseDocument(policyDocumentSchema, text, 'p.yaml').value.tests).toEqual([
      {
        name: 'cannot read secrets',
        as: { user: 'ana@example.com', groups: ['payments-dev'] },
        request: 'get secrets/db -n default',
        expect: 'deny',
      },
    ])
  })

  test('becomes a JSON Schema in which every field is described', () => {
    const schema = z.toJSONSchema(policyDocumentSchema, { io: 'input' })
    const undescribed: string[] = []
    const look = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return
      for (const [key, value] of Object.entries<unknown>({ ...node })) {
        if (key === 'properties' && typeof value === 'object' && value !== null) {
          for (const [field, inner] of Object.entries<unknown>({ ...value })) {
            if (typeof inner === 'object' && inner !== null && !('description' in inner))
              undescribed.push(`${path}.${field}`)
          }
        }
        look(value, key === 'properties' || key === 'items' ? path : `${path}.${key}`)
      }
    }
    look(schema, '')
    expect(undescribed).toEqual([])
  })
})
