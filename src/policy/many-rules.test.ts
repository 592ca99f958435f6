import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { cached } from './decision-cache.ts'
import type { PolicyAuthorizer } from './policy-authorizer.ts'

const ana = subject('ana', 'dev')

/** Rules of one group, one in each of so many policies or all in one. */
function authorizerWith(count: number, rule: (index: number) => string, condition?: (index: number) => string) {
  const rules = Array.from({ length: count }, (_, index) => rule(index))
  const spec = (list: readonly string[], more = '') =>
    `subjects: { groups: [dev] }, ${more} rules: [${list.join(', ')}]`
  return authorizerOf(
    condition === undefined
      ? { p: spec(rules) }
      : Object.fromEntries(
          rules.map((one, index) => [`p${index}`, spec([one], `conditions: { ${condition(index)} },`)]),
        ),
  )
}

/** CPU time of one call in microseconds: the least of several rounds, each of so many calls. */
function costOf(call: (index: number) => unknown, calls = 40): number {
  let index = 0
  const rounds = Array.from({ length: 8 }, () => {
    const begin = process.cpuUsage()
    for (let left = calls; left > 0; left -= 1) call((index += 1))
    const { user, system } = process.cpuUsage(begin)
    return (user + system) / calls
  })
  return Math.max(1, Math.min(...rounds))
}

/** How many times as much a call costs with a hundred times the rules. */
function growthOf(
  made: (count: number) => PolicyAuthorizer,
  call: (authorizer: PolicyAuthorizer, index: number) => unknown,
) {
  const few = made(100)
  const many = made(10_000)
  costOf((index) => call(few, index), 200)
  const cheap = costOf((index) => call(few, index))
  return costOf((index) => call(many, index)) / cheap
}

describe('a hundred times the rules make no decision ten times as dear', { timeout: 60_000 }, () => {
  test('where each has a namespace of its own', () => {
    const made = (count: number) =>
      authorizerWith(count, (index) => `{ verbs: [get], resources: [pods], namespaces: [ns-${index}] }`)
    expect(
      growthOf(made, (authorizer, index) =>
        authorizer.authorize(attributes(ana, request(`get pods web -n ns-${index % 100}`))),
      ),
    ).toBeLessThan(10)
  })

  test('nor a denial that says what is nearest', () => {
    const made = (count: number) =>
      authorizerWith(
        count,
        (index) => `{ verbs: [get], resources: [pods], namespaces: [ns-${index}], resourceNames: ["a-${index}-*"] }`,
      )
    const deny = (authorizer: PolicyAuthorizer, index: number) => {
      const { nearest } = authorizer.authorize(attributes(ana, request(`get secrets s${index} -n x`)))
      expect(nearest).toHaveLength(3)
    }
    expect(growthOf(made, deny)).toBeLessThan(10)
  })

  test('where patterns begin alike', () => {
    const made = (count: number) =>
      authorizerWith(count, (index) => `{ verbs: [get], resources: [pods], namespaces: ["n-*-${index}"] }`)
    const ask = (authorizer: PolicyAuthorizer, index: number) => {
      expect(authorizer.authorize(attributes(ana, request(`get pods web -n n-a-${index % 100}`))).effect).toBe('allow')
    }
    expect(growthOf(made, ask)).toBeLessThan(10)
  })

  test('where each has a template', () => {
    const made = (count: number) =>
      authorizerWith(
        count,
        (index) => `{ verbs: [get], resources: [pods], namespaces: ["{{ subject.username }}-${index}"] }`,
      )
    const ask = (authorizer: PolicyAuthorizer, index: number) => {
      expect(authorizer.authorize(attributes(ana, request(`get pods web -n ana-${index % 100}`))).effect).toBe('allow')
    }
    expect(growthOf(made, ask)).toBeLessThan(10)
  })

  test('where each has a condition, remembered or not', () => {
    const made = (count: number) =>
      authorizerWith(
        count / 10,
        (index) => `{ verbs: [get], resources: [pods], namespaces: [ns-${index}] }`,
        (index) => `sourceIPs: [10.0.0.0/8, 172.16.${index % 256}.${index >> 8}]`,
      )
    const given = attributes(ana, request('get pods web -n ns-5'))
    expect(growthOf(made, (authorizer) => authorizer.authorize(given))).toBeLessThan(10)
    const caches = new WeakMap<PolicyAuthorizer, PolicyAuthorizer>()
    const remembered = (authorizer: PolicyAuthorizer) => {
      const cache = caches.get(authorizer) ?? cached(authorizer)
      caches.set(authorizer, cache)
      return cache.authorize(given)
    }
    expect(growthOf(made, remembered)).toBeLessThan(10)
  })

  test('where all of them match', () => {
    const made = (count: number) =>
      authorizerWith(count / 10, (index) => `{ verbs: [get], resources: [pods], namespaces: ["*", ns-${index}] }`)
    const given = attributes(ana, request('get pods web -n x'))
    expect(made(10_000).authorize(given)).toMatchObject({ effect: 'allow', rule: 'p#1' })
    expect(growthOf(made, (authorizer) => authorizer.authorize(given))).toBeLessThan(10)
  })
})

describe('among ten thousand rules the nearest are those', () => {
  const rules = authorizerWith(10_000, (index) => {
    const own = `verbs: [get], resources: [pods], apiGroups: [""], namespaces: [ns-${index}], resourceNames: [web-${index}]`
    return `{ ${own} }`
  })

  test.each<[words: string, nearest: string]>([
    ['delete pods web-7000 -n ns-7000', 'p#7001 lacks verb "delete"'],
    ['get secrets web-7000 -n ns-7000', 'p#7001 lacks resource "secrets"'],
    ['get pods db -n ns-7000', 'p#7001 lacks resource name "db"'],
    ['get pods.metrics.k8s.io web-7000 -n ns-7000', 'p#7001 lacks API group "metrics.k8s.io"'],
  ])('that lack one thing: %s', (words, expected) => {
    const [first] = rules.authorize(attributes(ana, request(words))).nearest
    expect(`${first?.rule ?? ''} lacks ${first?.missing.join(', ') ?? ''}`).toBe(expected)
  })

  test('whose conditions alone do not hold', () => {
    const conditional = authorizerWith(
      1_000,
      (index) => `{ verbs: [get], resources: [pods], namespaces: [ns-${index}] }`,
      (index) => `sourceIPs: [192.168.${index % 256}.0/24]`,
    )
    const [first] = conditional.authorize(attributes(ana, request('get pods web -n ns-700'))).nearest
    expect(first).toMatchObject({ rule: 'p700#1', missing: ['a source address in 192.168.188.0/24'] })
  })

  test('that can be found in a bounded time, and else some', () => {
    const { nearest } = rules.authorize(attributes(ana, request('delete secrets db -n elsewhere')))
    expect(nearest.map(({ rule }) => rule)).toEqual(['p#1', 'p#2', 'p#3'])
  })
})
