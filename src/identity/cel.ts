import { Environment } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import { LIST_FUNCTIONS, Sets } from './cel-lists.ts'
import { beginningsOf, fieldsRead, isNode, nodesOf, operandsOf } from './cel-tree.ts'

/** Longest expression, in characters. */
export const MAX_EXPRESSION_LENGTH = 4096
/** Bounds on the syntax tree of one expression; a list or map that is written out is bounded by its nodes. */
const LIMITS = { maxAstNodes: 500, maxDepth: 32, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 8 }
/** How deep claims may nest that an expression is to see. */
const MAX_VALUE_DEPTH = 32

/** A value as expressions see it: objects are maps, and every number is a double, as it is to kube-apiserver. */
export type CelValue = null | boolean | string | number | readonly CelValue[] | ReadonlyMap<string, CelValue>

/** An expression that is sound. */
export interface CelExpression {
  readonly text: string
  /** What it gives as far as its text tells, in CEL's words: `bool`, `string`, `list<string>`, `dyn`. */
  readonly type: string
  /** Fields of its variable that it names; null when it may look at any. */
  readonly reads: ReadonlySet<string> | null
  /** What the text that it gives, or each text of the list, begins with; `''` where its own text does not tell. */
  readonly beginnings: readonly string[]
  /**
   * Gives whatever the expression gives. Takes as long as it takes: see `expression-timer.ts`.
   *
   * @throws Error with a phrase of the language: a key that is not there, types that do not fit.
   */
  evaluate(variable: CelValue): unknown
}

/**
 * What an expression may look at: `claims` is any JSON object, `user` has `username`, `uid`, `groups` and `extra`.
 *
 * @see k8s.io/apiserver `pkg/authentication/cel/compile.go`
 */
export type CelVariable = 'claims' | 'user'

/**
 * Compiles an expression of the Common Expression Language against what Kubernetes' AuthenticationConfiguration offers:
 * the standard library with its macros, optional values, strings, lists, `cel.bind`, `sets`, and of Kubernetes' own `find` and
 * `findAll`. Regular expressions are RE2's, which take time in proportion to the text.
 *
 * @throws Error with a phrase that says what is wrong: syntax, unknown names, types, bounds.
 */
export function compileCel(text: string, variable: CelVariable): CelExpression {
  if (text.length > MAX_EXPRESSION_LENGTH) throw new Error(`is longer than ${MAX_EXPRESSION_LENGTH} characters`)
  const { type, reads, beginnings } = inspect(text, variable)
  return {
    text,
    type,
    reads,
    beginnings,
    evaluate(value): unknown {
      try {
        // Parsed each time: an evaluation that was cut off leaves nothing behind.
        return parse(text, variable)({ [variable]: value })
      } catch (error) {
        throw new Error(phraseOf(error), { cause: error })
      }
    },
  }
}

/** @throws Error when it nests too deep. */
export function toCelValue(json: unknown, depth = 0): CelValue {
  if (depth > MAX_VALUE_DEPTH) throw new Error('nests too deep')
  if (Array.isArray(json)) return json.map((entry) => toCelValue(entry, depth + 1))
  if (typeof json === 'object' && json !== null) {
    return new Map(Object.entries(json).map(([key, value]) => [key, toCelValue(value, depth + 1)]))
  }
  return typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean' ? json : null
}

function inspect(text: string, variable: CelVariable): Pick<CelExpression, 'type' | 'reads' | 'beginnings'> {
  try {
    const parsed = parse(text, variable)
    const { valid, type = 'dyn', error } = parsed.check()
    if (!valid) throw error ?? new Error('does not check')
    checkPatterns(parsed.ast)
    return { type, reads: fieldsRead(parsed.ast, variable), beginnings: beginningsOf(parsed.ast) }
  } catch (error) {
    throw new Error(`is no expression that can be used: ${phraseOf(error)}`, { cause: error })
  }
}

/** Every error of the library has a summary; its message draws a picture of the source as well. */
function phraseOf(error: unknown): string {
  const { summary } = error as { readonly summary?: unknown }
  const phrase = typeof summary === 'string' ? summary : error instanceof Error ? error.message : String(error)
  const [line = ''] = Object.entries(REPLACED)
    .reduce((told, [name, own]) => told.replaceAll(own, name), phrase)
    .split('\n')
  return line
}

/** Functions of the library that are not as the language has them, and what is called in their place. */
const REPLACED = { matches: 'matchesRE2', lowerAscii: 'asciiLower', upperAscii: 'asciiUpper', string: 'text' } as const

function parse(text: string, variable: CelVariable): ReturnType<Environment['parse']> {
  const parsed = ENVIRONMENTS[variable].parse(text)
  for (const node of nodesOf(parsed.ast)) {
    const operands = operandsOf(node)
    if (node.op === 'rcall' || node.op === 'call') {
      const name = String(operands[0])
      if (Object.hasOwn(REPLACED, name)) operands[0] = REPLACED[name as keyof typeof REPLACED]
    } else if ((node.op === '.' || node.op === '.?') && typeof operands[1] === 'string') {
      operands[1] = unescaped(operands[1])
    }
  }
  return parsed
}

/** Names of claims that cannot stand in an expression as they are, the way Kubernetes writes them. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['__underscores__', '__'],
  ['__dot__', '.'],
  ['__dash__', '-'],
  ['__slash__', '/'],
])

const RESERVED_WORD =
  /^__(?:true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)__$/

/** @see k8s.io/apiserver `pkg/cel/escaping.go` */
function unescaped(name: string): string {
  if (RESERVED_WORD.test(name)) return name.slice(2, -2)
  return name.replace(/__[^_]+__/g, (escape) => ESCAPES.get(escape) ?? escape)
}

/** Functions whose second operand, the receiver counted, is a pattern. */
const PATTERN_FUNCTIONS: ReadonlySet<unknown> = new Set([REPLACED.matches, 'find', 'findAll'])

/** Patterns that are written out are known to be wrong before the first token comes. */
function checkPatterns(tree: unknown): void {
  for (const node of nodesOf(tree)) {
    if (node.op !== 'call' && node.op !== 'rcall') continue
    const [name, , pattern] = operandsOf(node).flat()
    if (!PATTERN_FUNCTIONS.has(name) || !isNode(pattern) || pattern.op !== 'value') continue
    if (typeof pattern.args === 'string') compilePattern(pattern.args)
  }
}

function compilePattern(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch (cause) {
    throw new Error(`${JSON.stringify(pattern)} is no regular expression of RE2`, { cause })
  }
}

/** As Go prints it: a double with a large exponent is written with one. */
function textOf(value: unknown): string {
  if (typeof value === 'number') return goDouble(value)
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  throw new TypeError('string() takes text, numbers, bytes and true or false')
}

/** @see Go `strconv.FormatFloat` with 'g' and the shortest precision */
function goDouble(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 6) return String(value)
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

/** @see k8s.io/apiserver `pkg/cel/environment/base.go`; cel-go `ext/strings.go` */
function environment(): Environment {
  const found = (text: string, pattern: string, most: number): string[] => {
    const matcher = compilePattern(pattern).matcher(text)
    const all: string[] = []
    while (all.length !== most && matcher.find()) all.push(matcher.group() ?? '')
    return all
  }
  const matches = (text: string, pattern: string): boolean => compilePattern(pattern).matcher(text).find()
  const replace = (text: string, old: string, by: string, most: bigint): string => {
    const parts = old === '' ? ['', ...Array.from(text), ''] : text.split(old)
    const replaced = most < 0n ? parts.length - 1 : Math.min(Number(most), parts.length - 1)
    return [...parts.slice(0, replaced), parts.slice(replaced).join(old)].join(by)
  }
  const charAt = (text: string, at: bigint): string => {
    if (at < 0n || at > BigInt(text.length)) throw new RangeError(`index out of range: ${at}`)
    return text.charAt(Number(at))
  }
  const built = new Environment({ enableOptionalTypes: true, limits: LIMITS })
    .registerType('Sets', Sets)
    .registerConstant('sets', 'Sets', new Sets())
    .registerFunction(`string.${REPLACED.matches}(string): bool`, matches)
    .registerFunction(`${REPLACED.matches}(string, string): bool`, matches)
    .registerFunction(`string.${REPLACED.lowerAscii}(): string`, (text: string) =>
      text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    )
    .registerFunction(`string.${REPLACED.upperAscii}(): string`, (text: string) =>
      text.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
    )
    .registerFunction(
      'string.find(string): string',
      (text: string, pattern: string) => found(text, pattern, 1)[0] ?? '',
    )
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) =>
      found(text, pattern, -1),
    )
    .registerFunction('string.findAll(string, int): list<string>', (text: string, pattern: string, most: bigint) =>
      found(text, pattern, Number(most)),
    )
    .registerFunction('string.replace(string, string): string', (text: string, old: string, by: string) =>
      replace(text, old, by, -1n),
    )
    .registerFunction('string.replace(string, string, int): string', replace)
    .registerFunction('string.charAt(int): string', charAt)
    .registerFunction(`${REPLACED.string}(dyn): string`, textOf)
  for (const [signature, handler] of Object.entries(LIST_FUNCTIONS)) built.registerFunction(signature, handler)
  return built
}

const ENVIRONMENTS: Readonly<Record<CelVariable, Environment>> = {
  claims: environment().registerVariable('claims', 'map<string, dyn>'),
  user: environment().registerVariable({
    name: 'user',
    schema: { username: 'string', uid: 'string', groups: 'list<string>', extra: 'map<string, list<string>>' },
  }),
}
