import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { missingRule } from './missing-rule.ts'

test.each<[words: string, rule: string]>([
  ['get secrets db -n default', '{ verbs: [get], resources: [secrets], namespaces: [default] }'],
  ['list secrets', '{ verbs: [list], resources: [secrets] }'],
  ['create pods/exec web -n default', '{ verbs: [create], resources: [pods/exec], namespaces: [default] }'],
  [
    'patch deployments.apps/scale web -n a',
    '{ verbs: [patch], apiGroups: [apps], resources: [deployments/scale], namespaces: [a] }',
  ],
  ['get pods web -n 123', '{ verbs: [get], resources: [pods], namespaces: ["123"] }'],
  ['get pods web -n on', '{ verbs: [get], resources: [pods], namespaces: ["on"] }'],
  ['get /metrics', '{ verbs: [get], nonResourceURLs: [/metrics] }'],
  ['get /a,b]:#x', '{ verbs: [get], nonResourceURLs: ["/a,b]:#x"] }'],
  ['- pods web -n a', ''],
  ['get secrets db -n *', ''],
  ['* pods web -n a', ''],
  ['get *.*', ''],
  ['get secrets db -n team-{{subject.username}}', ''],
  ['get /logs/*', ''],
  [`get /${'x'.repeat(300)}`, ''],
])('%s: %s', (words, rule) => {
  expect(missingRule(request(words))).toBe(rule)
})

test('is YAML whatever was asked', () => {
  const anything = fc.array(fc.integer({ min: 0, max: 0xd7ff })).map((codes) => String.fromCharCode(...codes))
  fc.assert(
    fc.property(fc.string(), anything, fc.boolean(), (word, other, isResourceRequest) => {
      const asked = { ...request('get pods'), isResourceRequest, path: `/${word}`, namespace: other, resource: word }
      expect(missingRule(asked)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      if (missingRule(asked) === '') return
      const rule = parse(missingRule(asked)) as Record<string, unknown>
      if (!isResourceRequest) expect(rule['nonResourceURLs']).toEqual([`/${word}`])
      else if (other !== '') expect(rule['namespaces']).toEqual([other])
    }),
  )
})

test('put into a policy, allows what was asked', () => {
  const word = fc.constantFrom('pods', 'secrets', 'on', 'no', 'null', '123', 'a-b', 'true', '0x1', 'y')
  fc.assert(
    fc.property(
      word,
      word,
      fc.constantFrom('', '/log', '/exec', '/proxy'),
      fc.constantFrom('', 'apps', 'x.example.com'),
      (resource, namespace, subresource, group) => {
        const asked = request(`get ${resource}${group === '' ? '' : `.${group}`}${subresource} web -n ${namespace}`)
        const authorizer = authorizerOf({ p: `subjects: { users: [ana] }, rules: [${missingRule(asked)}]` })
        expect(authorizer.authorize(attributes(subject('ana'), asked)).effect).toBe('allow')
      },
    ),
    { numRuns: 50 },
  )
})
