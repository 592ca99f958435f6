import { describe, expect, test } from 'vitest'
import { MAX_EXPRESSION_LENGTH, compileCel, toCelValue } from './cel.ts'

// Attack E30.

const claims = toCelValue({
  sub: 'ana',
  email: 'ANA@Example.com',
  roles: 'dev,ops',
  groups: ['dev', 'ops'],
  exp: 1800,
  nbf: 600,
  ratio: 1.5,
  big: 1_700_000_000,
  'example.com/team': 'red',
  namespace: 'default',
  levels: [1, 2],
  nested: { team: { name: 'payments' } },
})
const evaluate = (text: string): unknown => compileCel(text, 'claims').evaluate(claims)

test.for<[string, unknown]>([
  // As the documentation of Kubernetes' AuthenticationConfiguration writes them.
  ['claims.sub + ":external-user"', 'ana:external-user'],
  ['claims.exp - claims.nbf <= 86400', true],
  ['claims.?email_verified.orValue(true) == true', true],
  ['claims.roles.split(",")', ['dev', 'ops']],
  ['has(claims.email) ? claims.email : claims.sub', 'ANA@Example.com'],
  ['claims.groups.filter(g, g.startsWith("d")).map(g, "sso:" + g)', ['sso:dev']],
  ['claims.nested.team.name', 'payments'],
  ["claims['nested'].?team.?floor.orValue('')", ''],
  ['claims.groups.exists(g, g in ["ops"]) && !("admin" in claims.groups)', true],
  ['claims.groups.all(g, !g.startsWith("system:"))', true],
  ['claims.groups + claims.roles.split(",")', ['dev', 'ops', 'dev', 'ops']],
  ['claims.groups.join("/")', 'dev/ops'],
  ['cel.bind(name, claims.email.lowerAscii(), name.endsWith("@example.com") ? name : "")', 'ana@example.com'],
  ['claims.sub.replace("a", "o")', 'ono'],
  ['claims.sub.replace("a", "o", 1)', 'ona'],
  ['claims.sub.replace("a", "o", 0)', 'ana'],
  ['claims.sub.charAt(1)', 'n'],
  ['claims.roles.substring(0, claims.roles.indexOf(","))', 'dev'],
  ['claims.roles.matches("^[a-z]+,[a-z]+$")', true],
  ['matches(claims.roles, "(?i)DEV")', true],
  ['claims.roles.find("[a-z]+")', 'dev'],
  ['claims.roles.findAll("[a-z]+")', ['dev', 'ops']],
  ['claims.roles.findAll("[a-z]+", 1)', ['dev']],
  ['sets.intersects(claims.groups, ["ops", "admin"])', true],
  ['sets.contains(claims.groups, ["ops", "admin"])', false],
  ['sets.equivalent(claims.groups, ["ops", "dev", "dev"])', true],
  ['sets.contains(claims.levels, [1]) && sets.intersects([[1, 2]], [claims.levels])', true],
  ['claims.levels.indexOf(2)', 1n],
  ['sets.contains([claims.nested], [{"team": {"name": "payments"}}])', true],
  ['["b", "a", "b"].distinct() + claims.groups.reverse()', ['b', 'a', 'ops', 'dev']],
  ['[dyn(1), dyn(1.0), dyn(2)].distinct().size()', 2n],
  ['claims.groups.slice(1, 2)', ['ops']],
  ['[claims.groups, claims.levels].flatten()', ['dev', 'ops', 1, 2]],
  [String.raw`["b", "\U0001F600", "\uFF5E", "a"].sort()`, ['a', 'b', '\uFF5E', '\u{1F600}']],
  ['claims.groups.isSorted() && ![2, 1].isSorted() && [].isSorted()', true],
  ['claims.groups.max() + claims.groups.min()', 'opsdev'],
  ['claims.levels.sum() + 0.5', 3.5],
  ['[1, 2].sum() + [].sum()', 3n],
  // Numbers are doubles, and print as Go prints them.
  ['type(claims.exp) == double && type(claims.ratio) == double', true],
  ['string(claims.exp)', '1800'],
  ['string(claims.big)', '1.7e+09'],
  ['string(claims.ratio)', '1.5'],
  [
    'string(7) + string(true) + string(b"x") + string(1e-7) + string(123456.0) + string(1234567.0)',
    '7truex1e-071234561.234567e+06',
  ],
  ['claims.exp == 1800 && claims.exp > 1799 && claims.exp in [1800]', true],
  ['int(claims.exp) + 1', 1801n],
  ['claims.groups.indexOf("ops")', 1n],
  ['claims.sub.replace("", "-", 2)', '-a-na'],
  // Names that are no identifiers, as Kubernetes writes them.
  ['claims.example__dot__com__slash__team + claims.__namespace__', 'reddefault'],
  ['has(claims.example__dot__com__slash__team) && !has(claims.example__dash__com)', true],
  ["claims['example.com/team']", 'red'],
])('%s', ([text, value]) => {
  expect(evaluate(text)).toEqual(value)
})

test('letters are folded as ASCII, so that no other letter becomes one', () => {
  expect(evaluate(String.raw`"\u212Aim \u0130".lowerAscii()`)).toBe('\u212Aim \u0130')
  expect(evaluate(String.raw`"stra\u00DFe".upperAscii()`)).toBe('STRA\u00DFE')
})

test('what every object of JavaScript has is no claim', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'size']) {
    expect(() => evaluate(`claims.${name}`)).toThrow(`No such key: ${name}`)
    expect(evaluate(`has(claims.${name})`)).toBe(false)
  }
  const odd = toCelValue(JSON.parse('{"__proto__":{"admin":true}}'))
  expect(compileCel('claims.admin', 'claims').evaluate.bind(null, odd)).toThrow('No such key: admin')
})

test('what is out of range, or no text, fails the expression', () => {
  for (const text of [
    'claims.sub.charAt(4)',
    'claims.groups[2]',
    'claims.sub.substring(5)',
    'string(claims.groups)',
    'claims.groups.slice(1, 3)',
    'claims.groups.slice(-1, 1)',
    'claims.groups.slice(2, 1)',
    '[].min()',
    '[dyn(1), dyn("a")].sort()',
    '[claims.groups].max()',
    'claims.groups.sum()',
  ]) {
    expect(() => evaluate(text)).toThrow()
  }
})

test('an absent claim fails the expression, and `||` gets over it', () => {
  expect(() => evaluate('claims.absent == "x"')).toThrow('No such key: absent')
  expect(evaluate('claims.absent == "x" || claims.sub == "ana"')).toBe(true)
  expect(() => evaluate('claims.absent == "x" && claims.sub == "ana"')).toThrow('No such key: absent')
})

describe('an expression is refused for', () => {
  test.for<[string, string, string]>([
    ['syntax', 'claims.sub +', 'Unexpected token: EOF'],
    ['an unknown variable', 'claim.sub', 'Unknown variable: claim'],
    ['the other variable', 'user.username', 'Unknown variable: user'],
    ['an unknown function', 'claims.sub.lower()', "found no matching overload for 'dyn.lower()'"],
    ['types that do not fit', '1 + "a"', 'no such overload: int + string'],
    ['a pattern that does not compile', 'claims.sub.matches("(")', '"(" is no regular expression of RE2'],
    ['a pattern that looks back', String.raw`claims.sub.matches(r"(a)\1")`, 'is no regular expression of RE2'],
    ['what Kubernetes has and this has not', 'quantity("1Gi").isInteger()', 'found no matching overload'],
    ['a function that it knows, by its own name', '"ana".matches(1)', "'string.matches(int)'"],
    ['its length', `"${'a'.repeat(MAX_EXPRESSION_LENGTH)}"`, `is longer than ${MAX_EXPRESSION_LENGTH} characters`],
    ['its size', Array.from({ length: 300 }, () => 'true').join('||'), 'Exceeded'],
    ['its depth', `${'('.repeat(100)}1${')'.repeat(100)}`, 'Exceeded'],
  ])('%s', ([, text, phrase]) => {
    expect(() => compileCel(text, 'claims')).toThrow(phrase)
  })

  test('a field that a user has not', () => {
    expect(() => compileCel('user.name == "ana"', 'user')).toThrow('No such key: name')
  })
})

test.for<[string, string[] | null]>([
  ['claims.email', ['email']],
  ['claims.?email.orValue("")', ['email']],
  ['claims["email"] + claims[?"sub"].orValue("")', ['email', 'sub']],
  ['has(claims.email) && claims.groups.exists(g, g == claims.sub)', ['email', 'groups', 'sub']],
  ['claims.groups.map(g, claims.names[g])', ['groups', 'names']],
  ['"constant"', []],
  ['claims[claims.which]', null],
  ['claims.exists(name, name == "email")', null],
  ['claims.example__dot__com', ['example.com']],
  ['size(claims) > 3', null],
])('what %s reads is known', ([text, names]) => {
  const { reads } = compileCel(text, 'claims')
  expect(reads === null ? null : [...reads].toSorted()).toEqual(names)
})

test.for<[string, string[]]>([
  ['"a:" + claims.sub', ['a:']],
  ['"a" + ":" + claims.sub + "b:"', ['a:']],
  ['("a:" + claims.sub)', ['a:']],
  ['claims.sub + ":external"', ['']],
  ['claims.sub', ['']],
  ['"" + claims.sub', ['']],
  ['"ana"', ['ana']],
  ['["a:" + claims.sub, "b"]', ['a:', 'b']],
  ['[]', []],
  ['null', []],
  ['claims.vip == true ? "vip:" + claims.sub : "a:" + claims.sub', ['vip:', 'a:']],
  ['(claims.vip == true ? "vip:" : "a:") + claims.sub', ['vip:', 'a:']],
  ['(claims.vip == true ? "vip:" : claims.kind) + claims.sub', ['vip:', '']],
  ['claims.vip == true ? ["vip:all"] : []', ['vip:all']],
  ['claims.vip == true ? claims.groups : []', ['']],
  ['claims.groups.map(g, "a:" + g)', ['a:']],
  ['claims.groups.map(g, g != "", "a:" + g)', ['a:']],
  ['claims.groups.map(g, "a:" + g).filter(g, g != "a:x")', ['a:']],
  ['claims.groups.map(g, "a:" + g) + ["b:all"]', ['a:', 'b:all']],
  ['["b:all"] + claims.groups', ['b:all', '']],
  ['claims.groups + ["b:all"]', ['', 'b:all']],
  ['cel.bind(name, claims.sub, "a:" + name)', ['a:']],
  ['("a:" + claims.sub).replace("a:", "")', ['']],
  ['dyn("a:" + claims.sub)', ['']],
  ['["a:x"][0]', ['']],
  ['claims.?sub.orValue("a:b")', ['']],
])('what %s gives begins with what its text tells', ([text, beginnings]) => {
  expect(compileCel(text, 'claims').beginnings).toEqual(beginnings)
})

test('claims that nest without end are refused', () => {
  expect(() => toCelValue(JSON.parse('['.repeat(5000) + ']'.repeat(5000)))).toThrow('nests too deep')
})
