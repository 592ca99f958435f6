import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { StatusError } from '../kube/status.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { subjectRules, trustsUnverifiedEmail } from './subject-rules.ts'

type Rules = Pick<IssuerOptions, 'claimMappings' | 'claimValidationRules' | 'userValidationRules'>

const bySub: Rules = { claimMappings: { username: { claim: 'sub', prefix: 'sso:' } }, claimValidationRules: [] }
const ana = { sub: 'ana', email: 'ana@example.com', email_verified: true, groups: ['dev'] }

function username(expression: string): Rules {
  return { claimMappings: { username: { expression } }, claimValidationRules: [] }
}
function groups(expression: string): Rules {
  return { ...bySub, claimMappings: { ...bySub.claimMappings, groups: { expression } } }
}
function refusal(rules: Rules, claims: Record<string, unknown>): { message: string; detail: string } {
  try {
    subjectRules(rules)(claims)
  } catch (error) {
    if (error instanceof StatusError && error.status.code === 401)
      return { message: error.message, detail: error.detail }
    throw error
  }
  throw new Error('the claims were accepted')
}

test('expressions make a whole subject', () => {
  const rules: Rules = {
    claimMappings: {
      username: { expression: '"sso:" + claims.sub' },
      groups: { expression: 'claims.groups.map(g, "sso:" + g)' },
      uid: { expression: 'claims.?oid.orValue("")' },
      extra: [
        { key: 'example.com/team', valueExpression: 'claims.?team.orValue("")' },
        { key: 'example.com/floor', valueExpression: '["3", ""]' },
      ],
    },
    claimValidationRules: [{ expression: 'claims.email_verified == true' }],
    userValidationRules: [{ expression: 'user.groups.all(g, !g.startsWith("system:")) && user.uid == ""' }],
  }
  const subject = subjectRules(rules)(ana)
  expect(subject).toEqual({
    username: 'sso:ana',
    uid: '',
    groups: ['sso:dev'],
    extra: { 'example.com/floor': ['3'] },
  })
  expect(Object.isFrozen(subject) && Object.isFrozen(subject.groups) && Object.isFrozen(subject.extra)).toBe(true)
})

describe('a username from an expression', () => {
  test.for<[string, string, string]>([
    ['is not empty', '""', 'the expression for the username is empty'],
    ['is text', '5', 'the expression for the username is not text'],
    ['is no list', 'claims.groups', 'the expression for the username is not text'],
    ['is no optional value', 'claims.?sub', 'the expression for the username is not text'],
    ['is not reserved', '"system:" + claims.sub', 'makes a name that is reserved'],
    ['has no control characters', '"a\\nb"', 'has characters that a name cannot have'],
    ['needs its claims', 'claims.absent', 'the expression for the username fails on the claims of the token'],
  ])('%s', ([, expression, message]) => {
    expect(refusal(username(expression), ana).message).toContain(message)
  })

  test('tells the operator, not the person, what failed', () => {
    const { message, detail } = refusal(username('claims.absent'), ana)
    expect(detail).toBe('"claims.absent": No such key: absent')
    expect(message).not.toContain('absent')
  })
})

describe('groups from an expression', () => {
  test.for<[string, readonly string[]]>([
    ['"dev"', ['dev']],
    ['claims.groups', ['dev']],
    ['null', []],
    ['""', []],
    ['["dev", "", "dev"]', ['dev']],
  ])('%s', ([expression, expected]) => {
    expect(subjectRules(groups(expression))(ana).groups).toEqual(expected)
  })

  test.for<[string, string]>([
    ['[1]', 'is not a list of text'],
    ['5', 'is not a list of text'],
    ['{"dev": true}', 'is not a list of text'],
    ['[["dev"]]', 'is not a list of text'],
    ['["system:masters"]', 'reserved'],
  ])('%s is refused', ([expression, message]) => {
    expect(refusal(groups(expression), ana).message).toContain(message)
  })
})

describe('a rule', () => {
  test('says why it refuses', () => {
    const rules: Rules = {
      ...bySub,
      claimValidationRules: [{ expression: 'claims.hd == "example.com"', message: 'only people of example.com' }],
    }
    expect(subjectRules(rules)({ ...ana, hd: 'example.com' }).username).toBe('sso:ana')
    expect(refusal(rules, { ...ana, hd: 'evil.example' }).message).toContain('only people of example.com')
    expect(refusal(rules, ana).message).toContain('a rule fails on the claims of the token')
  })

  test('looks at the subject as it is with its prefix', () => {
    const rules: Rules = { ...bySub, userValidationRules: [{ expression: 'user.username == "sso:ana"' }] }
    expect(subjectRules(rules)(ana).username).toBe('sso:ana')
    expect(refusal(rules, { ...ana, sub: 'bob' }).message).toContain('a rule on the subject does not hold')
  })

  test('has to give true or false', () => {
    const rules: Rules = { ...bySub, claimValidationRules: [{ expression: 'claims.email_verified' }] }
    expect(() => subjectRules(rules)).toThrow('does not give true or false')
  })
})

describe('groups that the issuer kept back', () => {
  const overage = {
    ...ana,
    groups: undefined,
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: 'https://graph.example.com/users/ana/getMemberObjects' } },
  }

  test.for<[string, Rules]>([
    ['the groups', groups('has(claims.groups) ? claims.groups : []')],
    ['the groups, by a name that is made up', groups('claims.exists(c, c == "groups") ? ["dev"] : []')],
    ['the username', username('"banned" in claims.?groups.orValue([]) ? "nobody" : claims.sub')],
    ['a rule', { ...bySub, claimValidationRules: [{ expression: '!("banned" in claims.?groups.orValue([]))' }] }],
    [
      'an extra',
      {
        ...bySub,
        claimMappings: {
          ...bySub.claimMappings,
          extra: [{ key: 'a.b/c', valueExpression: 'claims.?groups.orValue([])' }],
        },
      },
    ],
  ])('refuse a token when an expression reads them for %s', ([, rules]) => {
    expect(refusal(rules, overage).message).toContain('"groupsFrom"')
    expect(refusal(rules, { ...ana, groups: undefined, hasgroups: true }).message).toContain('"groupsFrom"')
    expect(refusal(rules, { ...ana, _claim_names: 'groups' }).message).toContain('"groupsFrom"')
  })

  test('do not matter to expressions that do not read them', () => {
    expect(subjectRules(username('claims.sub'))(overage).username).toBe('ana')
  })
})

test.for<[string, string, readonly string[], boolean]>([
  ['alone', 'claims.email', [], true],
  ['by index', 'claims["email"]', [], true],
  ['with the check in it', 'claims.email_verified ? claims.email : claims.sub', [], false],
  ['with the check as an optional value', 'claims.email', ['claims.?email_verified.orValue(true) == true'], false],
  ['among all claims', 'claims.map(c, claims[c])[0]', [], true],
  ['never', 'claims.sub', [], false],
])('an e-mail as username, read %s', ([, expression, others, trusted]) => {
  expect(trustsUnverifiedEmail(expression, others)).toBe(trusted)
})

test('an e-mail that nobody looks the verification of up is no username', () => {
  expect(() => subjectRules(username('claims.email'))).toThrow('nothing reads claims.email_verified')
})

test('expressions that walk claims without end are cut off', () => {
  const rules = username('claims.l.all(a, claims.l.all(b, claims.l.all(c, a + b + c >= 0))) ? claims.sub : "x"')
  const claims = { sub: 'ana', l: Array.from({ length: 2000 }, (_, index) => index) }
  const spentMs = cpuStopwatch()
  expect(refusal(rules, claims).message).toContain('the rules of the connector take too long')
  expect(spentMs()).toBeLessThan(5000)
  expect(subjectRules(rules)({ sub: 'ana', l: [1] }).username).toBe('ana')
})
