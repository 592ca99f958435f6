import { expect, test } from 'vitest'
import { policyText } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { PolicyInForce } from './policy-in-force.ts'
import { loadPolicies } from './policy-set.ts'
import { policyStatusSchema } from './policy-status.ts'

const policies = (rules: string, file = 'p.yaml', comment = '') =>
  loadPolicies([{ file, text: comment + policyText('p', `subjects: { users: [ana] }, rules: [${rules}]`) }])

function started() {
  let nowMs = Date.parse('2026-07-01T08:00:00Z')
  const inForce = new PolicyInForce(policies('{ verbs: [get], resources: [pods] }'), () => nowMs)
  return {
    inForce,
    later: () => (nowMs += 60_000),
    location: () =>
      inForce.authorizer.authorize(attributes(subject('ana'), request('get pods web -n default'))).location,
  }
}

test('tells what is in force, and counts nothing that is built in', () => {
  const { inForce } = started()
  expect(inForce.status()).toEqual({
    revision: inForce.authorizer.revision,
    inForceSince: '2026-07-01T08:00:00.000Z',
    files: ['p.yaml'],
    policies: 1,
    rules: 1,
    problems: [],
    filesRevision: inForce.authorizer.revision,
    objects: null,
  })
  expect(policyStatusSchema.parse(inForce.status())).toEqual(inForce.status())
})

test('another revision counts from when it came', () => {
  const { inForce, later } = started()
  later()
  expect(inForce.replace(policies('{ verbs: [get], resources: [pods] }, { verbs: [list], resources: [pods] }'))).toBe(
    true,
  )
  expect(inForce.status()).toMatchObject({ inForceSince: '2026-07-01T08:01:00.000Z', rules: 2 })
})

test('the same rules in other places are named by those, and are as old as they were', () => {
  const { inForce, later, location } = started()
  expect(location()).toBe('p.yaml:4')
  later()
  expect(inForce.replace(policies('{ verbs: [get], resources: [pods] }', 'renamed.yaml', '# pods\n'))).toBe(false)
  expect(location()).toBe('renamed.yaml:5')
  expect(inForce.status()).toMatchObject({ inForceSince: '2026-07-01T08:00:00.000Z', files: ['renamed.yaml'] })
})

test('tells the problems of a newer revision, not more than can be read, until they are over', () => {
  const { inForce } = started()
  inForce.keep('a.yaml:1: is wrong\nb.yaml:1: is wrong')
  expect(inForce.status().problems).toEqual(['a.yaml:1: is wrong', 'b.yaml:1: is wrong'])
  inForce.keep(Array.from({ length: 50 }, (_, i) => `${i}.yaml:1: is wrong`).join('\n'))
  expect(inForce.status().problems).toHaveLength(21)
  expect(inForce.status().problems.at(-1)).toBe('and 30 more')
  inForce.keep('')
  expect(inForce.status().problems).toEqual([])
})
