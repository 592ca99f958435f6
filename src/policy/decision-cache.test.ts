import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import type { Attributes } from './authorizer.ts'
import { cached } from './decision-cache.ts'
import type { PolicyAuthorizer } from './policy-authorizer.ts'

/** An authorizer that counts what it is asked. */
function counted(authorizer: PolicyAuthorizer): { authorizer: PolicyAuthorizer; asked: () => number } {
  let asked = 0
  const decide = (given: Attributes) => {
    asked += 1
    return authorizer.decide(given)
  }
  return {
    asked: () => asked,
    authorizer: {
      revision: authorizer.revision,
      authorize: (given) => authorizer.authorize(given),
      decide,
      nearest: (given) => authorizer.nearest(given),
      dependsOnTime: (who, socket) => authorizer.dependsOnTime(who, socket),
      decisionKey: (given) => authorizer.decisionKey(given),
      mayReach: (who, socket) => authorizer.mayReach(who, socket),
      summary: (who, socket) => authorizer.summary(who, socket),
      rulesFor: (who, socket, namespace) => authorizer.rulesFor(who, socket, namespace),
    },
  }
}

const ana = subject('ana')
const rules = (text: string, more = ''): PolicyAuthorizer =>
  authorizerOf({ p: `subjects: { users: [ana] }, ${more} rules: [${text}]` })

describe('a remembered decision', () => {
  test('is the same object', () => {
    const { authorizer, asked } = counted(rules('{ verbs: [get], resources: [pods] }'))
    const cache = cached(authorizer)
    const first = cache.authorize(attributes(ana, request('get pods web -n a')))
    expect(cache.authorize(attributes(ana, request('get pods web -n a')))).toBe(first)
    expect(asked()).toBe(1)
  })

  test('serves all names where no rule has names', () => {
    const { authorizer, asked } = counted(rules('{ verbs: [get], resources: [pods] }'))
    const cache = cached(authorizer)
    for (const name of ['a', 'b', 'c']) cache.authorize(attributes(ana, request(`get pods ${name} -n a`)))
    expect(asked()).toBe(1)
  })

  test('serves one name where a rule has names', () => {
    const cache = cached(rules('{ verbs: [get], resources: [pods], resourceNames: [a] }'))
    const effects = ['a', 'b', 'a', 'b'].map(
      (name) => cache.authorize(attributes(ana, request(`get pods ${name} -n x`))).effect,
    )
    expect(effects).toEqual(['allow', 'no-opinion', 'allow', 'no-opinion'])
  })

  test('serves no other subject, socket, or part of a request', () => {
    const { authorizer, asked } = counted(rules('{ verbs: [get, list], resources: [pods], resourceNames: [a] }'))
    const cache = cached(authorizer)
    const others: Attributes[] = [
      attributes(ana, request('get pods a -n x')),
      attributes(subject('ana'), request('get pods a -n x')),
      attributes(ana, request('get pods a -n x'), { socket: 'staging' }),
      attributes(ana, request('list pods a -n x')),
      attributes(ana, request('get pods.x.io a -n x')),
      attributes(ana, request('get pods/log a -n x')),
      attributes(ana, request('get pods a -n y')),
      attributes(ana, request('get pods b -n x')),
      attributes(ana, request('get pods -n x')),
      attributes(ana, request('get /pods')),
    ]
    for (const other of [...others, ...others]) cache.authorize(other)
    expect(asked()).toBe(others.length)
  })

  test('is not mistaken where the words of two requests join to the same text', () => {
    const cache = cached(rules('{ verbs: [get], resources: [pods], namespaces: [ab], resourceNames: [c] }'))
    const base = request('get pods c -n ab')
    const shifted = [
      base,
      { ...base, namespace: 'a', name: 'bc' },
      { ...base, namespace: 'abc', name: '' },
      { ...base, resource: 'podsa', namespace: 'b' },
    ]
    const effects = shifted.map((requestInfo) => cache.authorize(attributes(ana, requestInfo)).effect)
    expect(effects).toEqual(['allow', 'no-opinion', 'no-opinion', 'no-opinion'])
  })

  test('follows time and source address', () => {
    const conditions =
      'conditions: { sourceIPs: [10.0.0.0/8], timeOfDay: { from: "08:00", to: "18:00", timeZone: UTC } },'
    const cache = cached(rules('{ verbs: [get], resources: [pods] }', conditions))
    const at = (sourceIP: string, hour: number) =>
      cache.authorize(attributes(ana, request('get pods a -n x'), { sourceIP, atMs: hour * 3_600_000 })).effect
    expect([at('10.0.0.1', 12), at('11.0.0.1', 12), at('10.0.0.1', 18), at('10.0.0.1', 12)]).toEqual([
      'allow',
      'no-opinion',
      'no-opinion',
      'allow',
    ])
  })
})

describe('the number of decisions', () => {
  test('is bounded, and what is used stays', () => {
    const { authorizer, asked } = counted(rules('{ verbs: [get], resources: [pods], resourceNames: [a] }'))
    const cache = cached(authorizer, 10)
    const ask = (name: string): unknown => cache.authorize(attributes(ana, request(`get pods ${name} -n x`)))
    for (let index = 0; index < 100; index += 1) {
      ask('often')
      ask(`once-${index}`)
    }
    expect(asked()).toBe(101)
    ask('once-0')
    expect(asked()).toBe(102)
  })

  test('does not grow with long words', () => {
    const { authorizer, asked } = counted(rules('{ verbs: [get], nonResourceURLs: ["*"] }'))
    const cache = cached(authorizer)
    for (let round = 0; round < 2; round += 1) cache.authorize(attributes(ana, request(`get /${'x'.repeat(2000)}`)))
    expect(asked()).toBe(2)
  })
})
