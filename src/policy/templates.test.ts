import { describe, expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { attributes, request, subject } from '../../test/support/policy-requests.ts'
import { compileTemplate } from './templates.ts'

const who = (extra: Readonly<Record<string, readonly string[]>>, username = 'ana') => ({
  ...subject(username, 'dev', 'ops'),
  extra,
})

describe('a template', () => {
  test.each<[entry: string, caller: ReturnType<typeof who>, name: string, matches: boolean]>([
    ['{{ subject.username }}', who({}), 'ana', true],
    ['{{subject.username}}', who({}), 'ana', true],
    ['{{ subject.username }}', who({}), 'omar', false],
    ['{{ subject.username }}', who({}), '', false],
    ['{{ subject.username }}', who({}), 'ana2', false],
    ['{{ subject.username }}', who({}, ''), '', false],
    ['{{ subject.groups }}', who({}), 'ops', true],
    ['team-{{ subject.extra.team }}', who({ team: ['a', 'b'] }), 'team-b', true],
    ['team-{{ subject.extra.team }}', who({ team: ['a', 'b'] }), 'team-c', false],
    ['team-{{ subject.extra.team }}', who({ team: [] }), 'team-', false],
    ['team-{{ subject.extra.team }}', who({ team: [''] }), 'team-', false],
    ['team-{{ subject.extra.team }}', who({}), 'team-', false],
    ['{{ subject.extra.example.com/team }}-x', who({ 'example.com/team': ['a'] }), 'a-x', true],
    ['{{ subject.username }}-*', who({}), 'ana-1', true],
    ['{{ subject.username }}-*', who({}), 'omar-1', false],
    ['{{ subject.extra.constructor }}', who({}), 'Object', false],
  ])('%s of %j stands for "%s": %s', (entry, caller, name, matches) => {
    expect(compileTemplate(entry).matches(caller, name)).toBe(matches)
  })

  test.each([
    '*',
    'a*',
    '**',
    '/',
    'a/b',
    ' ',
    'a b',
    '[a-z]',
    '{a}',
    '%2a',
    '?',
    '\u0000',
    'a\nb',
    '\u202e',
    'x'.repeat(254),
  ])('stands for nothing where a claim is %j', (value) => {
    const template = compileTemplate('{{ subject.extra.team }}')
    for (const name of [value, 'a', 'x', '', '/', '*'])
      expect(template.matches(who({ team: [value] }), name)).toBe(false)
    expect(template.patternsFor(who({ team: [value] }))).toEqual([])
  })

  test.each(['.', '.+', 'a|b', '(a)', '^a', 'a$', '\\w', 'a-b', 'a,b'])('takes a claim %j to the letter', (value) => {
    const template = compileTemplate('{{ subject.extra.team }}')
    expect(template.matches(who({ team: [value] }), value)).toBe(true)
    for (const other of ['a', 'b', 'ab', 'w', 'x']) expect(template.matches(who({ team: [value] }), other)).toBe(false)
  })

  test('stands for a hundred values at most', () => {
    const team = Array.from({ length: 200 }, (_, index) => `t${index}`)
    const template = compileTemplate('{{ subject.extra.team }}')
    expect([template.matches(who({ team }), 't99'), template.matches(who({ team }), 't100')]).toEqual([true, false])
  })
})

test('a template does not stand for what is excepted', () => {
  const template = compileTemplate('{{ subject.groups }}*', ['dev-b', 'ops-*'])
  const names = ['dev', 'dev-a', 'dev-b', 'ops', 'ops-1']
  expect(names.filter((name) => template.matches(who({}), name))).toEqual(['dev', 'dev-a', 'ops'])
})

describe('a rule with a template', () => {
  const authorizer = authorizerOf({
    p: `subjects: { groups: [dev] }, rules: [
      { verbs: ["*"], resources: ["*"], namespaces: ["{{ subject.username }}", shared, "team-{{ subject.extra.team }}"] },
      { verbs: [get], resources: [secrets], namespaces: [vault], resourceNames: ["{{ subject.username }}-*"] }]`,
  })
  const decide = (words: string, caller = who({ team: ['a', '*'] })) =>
    authorizer.authorize(attributes(caller, request(words)))

  test.each<[words: string, rule: string]>([
    ['get pods web -n ana', 'p#1'],
    ['get pods web -n shared', 'p#1'],
    ['list pods -n team-a', 'p#1'],
    ['get pods web -n team-b', ''],
    ['get pods web -n omar', ''],
    ['list pods', ''],
    ['get nodes n1', ''],
    ['get secrets ana-key -n vault', 'p#2'],
    ['get secrets omar-key -n vault', ''],
    ['get secrets ana -n vault', ''],
  ])('%s', (words, rule) => {
    expect(decide(words).rule).toBe(rule)
  })

  test('decides for each subject anew', () => {
    expect(decide('get pods web -n omar', who({}, 'omar')).rule).toBe('p#1')
    expect(decide('get pods web -n ana', who({}, 'omar')).rule).toBe('')
  })

  test('is not what keeps a request away when it stands for the namespace', () => {
    expect(decide('get pods/exec web -n ana').nearest[0]).toMatchObject({
      rule: 'p#1',
      missing: ['resource "pods/exec" by name'],
    })
    expect(decide('get pods web -n omar').nearest[0]).toMatchObject({ rule: 'p#1', missing: ['namespace "omar"'] })
  })

  test('shows in self reviews as what it stands for', () => {
    expect(authorizer.summary(who({ team: ['a'] }), 'x')).toEqual([
      'read in shared, ana, team-a, …',
      'write in shared, ana, team-a',
    ])
    const names = (namespace: string) =>
      authorizer
        .rulesFor(who({}), 'x', namespace)
        .resourceRules.map(({ resources, resourceNames }) => [resources, resourceNames])
    expect(names('vault')).toContainEqual([['secrets'], ['ana-*']])
    expect(names('ana')).toContainEqual([['*'], undefined])
    expect(names('omar')).not.toContainEqual([['*'], undefined])
  })
})
