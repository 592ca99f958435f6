import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { policyText } from '../../test/support/policies.ts'
import { DocumentError, renderMistake } from '../document/document.ts'
import { loadPolicies } from './policy-set.ts'
import type { PolicyFile } from './policy-set.ts'

const RULES = 'rules: [{ verbs: [get], resources: [pods] }]'
const about = (user: string): string => `subjects: { users: [${user}] }, ${RULES}`
const file = (name: string, text: string): PolicyFile => ({ file: name, text })

function mistakesIn(...files: readonly PolicyFile[]): readonly string[] {
  try {
    loadPolicies(files)
  } catch (error) {
    if (error instanceof DocumentError) return error.mistakes.map(renderMistake)
    throw error
  }
  return []
}

describe('loading', () => {
  test('gives the policies in order of name, and what is built in after them', () => {
    const files = [file('1.yaml', policyText('b', about('ana'))), file('2.yaml', policyText('a', about('ana')))]
    expect(loadPolicies(files).policies.map((policy) => policy.name)).toEqual(['a', 'b', 'postern:discovery'])
  })

  test('takes several documents from a file, and a rule knows its line in the file', () => {
    const text = `# mine
---
${policyText('a', about('ana'))}---
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: b }
spec:
  subjects: { users: [ana] }
  rules:
  - { verbs: [get], resources: [pods] }
  - verbs: [list]
    resources: [pods]
---
# nothing here
`
    const { policies } = loadPolicies([file('both.yaml', text)])
    expect(policies.flatMap(({ rules }) => rules.map(({ id, location }) => `${id} ${location}`)).slice(0, 3)).toEqual([
      'a#1 both.yaml:6',
      'b#1 both.yaml:14',
      'b#2 both.yaml:15',
    ])
  })

  test('no files at all leave what is built in', () => {
    expect(loadPolicies([]).policies.map((policy) => policy.name)).toEqual(['postern:discovery'])
  })

  test('every mistake of every file and document comes at once', () => {
    const first = `${policyText('a', 'subjects: { users: [ana] }, rules: []')}---\n${policyText('b', 'rules: 1')}`
    expect(mistakesIn(file('1.yaml', first), file('2.yaml', 'x: ['), file('3.yaml', ''))).toEqual([
      '1.yaml:4: spec.rules: is an empty list, expected at least 1 entry',
      '1.yaml:9: spec.subjects: is missing, expected an object',
      '1.yaml:9: spec.rules: is the number 1, expected a list',
      expect.stringMatching(/^2\.yaml:1: is not YAML/) as string,
      '3.yaml:1: is empty, expected an object',
    ])
  })

  test('a name that two policies have is a mistake, also when one of them is broken', () => {
    expect(
      mistakesIn(
        file('1.yaml', policyText('a', about('ana'))),
        file('2.yaml', `\n${policyText('a', about('omar'))}`),
        file('3.yaml', policyText('a', 'subjects: { users: [ana] }, rules: []')),
      ),
    ).toEqual([
      '2.yaml:4: metadata.name: is the name of the policy at 1.yaml:3 too',
      '3.yaml:3: metadata.name: is the name of the policy at 1.yaml:3 too',
      '3.yaml:4: spec.rules: is an empty list, expected at least 1 entry',
    ])
  })

  test('nothing but a DocumentError is thrown, whatever the text', () => {
    const pieces = fc.constantFrom(
      '---\n',
      '...\n',
      policyText('a', about('ana')),
      'spec: [\n',
      '- x\n',
      '# y\n',
      '\u0000',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        for (const line of mistakesIn(file('a.yaml', parts.join('')))) expect(line).toMatch(/^a\.yaml:\d+: ./)
      }),
    )
  })
})

describe('the revision', () => {
  const a = policyText('a', about('ana'))
  const b = policyText('b', about('ana'))
  const revisionOf = (...texts: readonly string[]): string =>
    loadPolicies(texts.map((text, index) => file(`${index}.yaml`, text))).revision

  test('is a hash', () => {
    expect(revisionOf(a)).toMatch(/^sha256:[0-9a-f]{64}$/)
  })

  test.each<[name: string, texts: readonly string[]]>([
    ['comments', [`# hello\n${a}`, b]],
    ['order of files', [b, a]],
    ['one file for all', [`${a}---\n${b}`]],
    ['order of keys', [a.replace(/spec: .*/, `spec: { ${RULES}, subjects: { users: [ana] } }`), b]],
    ['what is the default', [a.replace('{ verbs', '{ effect: allow, verbs'), b]],
    ['tests', [`${a}tests: [{ name: t, as: { user: ana }, request: get pods, expect: allow }]\n`, b]],
  ])('does not depend on %s', (_, texts) => {
    expect(revisionOf(...texts)).toBe(revisionOf(a, b))
  })

  test.each<[name: string, texts: readonly string[]]>([
    ['a policy more', [a, b, policyText('c', about('ana'))]],
    ['another name', [a, policyText('c', about('ana'))]],
    ['another subject', [a, policyText('b', about('omar'))]],
    ['another verb', [a, b.replace('get', 'list')]],
    ['another effect', [a, b.replace('{ verbs', '{ effect: deny, verbs')]],
    ['a socket', [a, b.replace('spec: {', 'spec: { sockets: [production],')]],
    ['a condition', [a, b.replace('spec: {', 'spec: { conditions: { sourceIPs: [10.0.0.0/8] },')]],
    ['a demand', [a, b.replace('[pods] }', '[pods], session: { record: off } }')]],
  ])('changes with %s', (_, texts) => {
    expect(revisionOf(...texts)).not.toBe(revisionOf(a, b))
  })
})
