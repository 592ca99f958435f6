import { expect, test } from 'vitest'
import { MAX_PER_NAMESPACE, PolicyObjects, type PolicyObjectVersion } from './policy-objects.ts'

const right = { subjects: { users: ['ana'] }, rules: [{ verbs: ['get'], resources: ['pods'] }] }
const wrong = { ...right, rules: [{ verbs: [], resources: ['pods'] }] }
const denying = { ...right, rules: [{ effect: 'deny', verbs: ['get'], resources: ['secrets'] }, ...wrong.rules] }

function object(name: string, spec: object, more: Partial<PolicyObjectVersion> = {}): PolicyObjectVersion {
  const base = { kind: 'ClusterPosternPolicy', namespace: '', uid: name, resourceVersion: '1', generation: 1 } as const
  return { ...base, name, createdAt: '2026-07-01T08:00:00Z', tooLarge: false, content: { spec }, ...more }
}

const inForce = (objects: PolicyObjects) => objects.policies.map(({ name, rules }) => `${name}: ${rules.length}`)
const verdicts = (objects: PolicyObjects) => objects.verdicts.map((verdict) => `${verdict.reason} ${verdict.inForce}`)

test('one with mistakes keeps its last good form, and takes no other one down', () => {
  const objects = new PolicyObjects('production')
  expect(objects.replace([object('a', right), object('b', right)])).toBe(true)
  expect(objects.replace([object('a', wrong, { generation: 2 }), object('b', right)])).toBe(false)
  expect(inForce(objects)).toEqual(['ClusterPosternPolicy/a: 1', 'ClusterPosternPolicy/b: 1'])
  expect(verdicts(objects)).toEqual(['Invalid previous', 'Accepted all'])
  expect(objects.replace([object('a', right, { generation: 3 }), object('b', right)])).toBe(true)
  expect(verdicts(objects)).toEqual(['Accepted all', 'Accepted all'])
})

test('one that never was right leaves what it soundly denies', () => {
  const objects = new PolicyObjects('production')
  objects.replace([object('a', wrong), object('b', denying)])
  expect(inForce(objects)).toEqual(['ClusterPosternPolicy/b: 1'])
  expect(verdicts(objects)).toEqual(['Invalid nothing', 'Invalid denials'])
})

test('one that is made anew does not inherit from the one that is gone', () => {
  const objects = new PolicyObjects('production')
  objects.replace([object('a', right)])
  expect(objects.replace([object('a', wrong, { uid: 'another' })])).toBe(true)
  expect(inForce(objects)).toEqual([])
})

test('one that is gone is withdrawn', () => {
  const objects = new PolicyObjects('production')
  objects.replace([object('a', right), object('b', wrong)])
  expect(objects.replace([object('a', right)])).toBe(false)
  expect(objects.replace([])).toBe(true)
  expect(inForce(objects)).toEqual([])
})

test('one that is written over without another content changes nothing', () => {
  const objects = new PolicyObjects('production')
  objects.replace([object('a', right)])
  expect(objects.replace([object('a', right, { resourceVersion: '2' })])).toBe(false)
})

test('one that is too long to read keeps its last good form', () => {
  const objects = new PolicyObjects('production')
  objects.replace([object('a', right)])
  objects.replace([object('a', right, { generation: 2, tooLarge: true, content: null })])
  expect(verdicts(objects)).toEqual(['TooLarge previous'])
})

test('those of one namespace that are too many do not count, the youngest first, and no other namespace pays', () => {
  const objects = new PolicyObjects('production')
  const namespaced = (name: string, namespace: string, day: number) =>
    object(name, right, {
      kind: 'PosternPolicy',
      namespace,
      uid: `${namespace}/${name}`,
      createdAt: `2026-07-${String(day).padStart(2, '0')}T08:00:00Z`,
    })
  const old = Array.from({ length: MAX_PER_NAMESPACE }, (_, index) => namespaced(`p${index}`, 'shop', 1))
  const all = [namespaced('a', 'shop', 2), ...old, namespaced('z', 'other', 3)]
  objects.replace(all)
  expect(objects.policies).toHaveLength(MAX_PER_NAMESPACE + 1)
  const refused = objects.verdicts.filter(({ reason }) => reason === 'TooMany')
  expect(refused.map(({ name }) => name)).toEqual(['PosternPolicy/shop/a'])
  expect(objects.replace(all.slice(0, -2))).toBe(true)
  expect(objects.verdicts.every(({ reason }) => reason === 'Accepted')).toBe(true)
})
