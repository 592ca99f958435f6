import { z } from 'zod'
import type { DocumentPath } from './document-path.ts'
import { nearestName } from './nearest-name.ts'
import { isObject, oneOf, shown, stands, typeName } from './wording.ts'

/** A mistake without its place in the text. */
export interface Flaw {
  readonly path: DocumentPath
  readonly problem: string
  /** Empty when the problem says it all. */
  readonly expected: string
  /** True when the value at the path has the right type nevertheless, so that what it holds can be looked at. */
  readonly sound: boolean
}

type Issue = z.core.$ZodIssue
/** Schemas and checks, by the number that a default message carries. */
type Origins = readonly unknown[]

/** Begins a message that no schema wrote. */
const DEFAULT_MESSAGE = '\u0000'

/** The value that a schema makes of plain values, or null and everything wrong with them. */
export function validate<T>(schema: z.ZodType<T>, input: unknown): { value: T | null; flaws: readonly Flaw[] } {
  const origins: unknown[] = []
  const parsed = schema.safeParse(input, {
    reportInput: true,
    error: (issue) => `${DEFAULT_MESSAGE}${origins.push(issue.inst) - 1}`,
  })
  if (parsed.success) return { value: parsed.data, flaws: [] }
  return { value: null, flaws: parsed.error.issues.flatMap((issue) => flawsOf(issue, [], origins)) }
}

/** A copy of plain values that lacks what stands at the given paths; entries of lists become undefined. */
export function withoutPaths(input: unknown, paths: readonly DocumentPath[]): unknown {
  const root: Record<PropertyKey, unknown> = { input: structuredClone(input) }
  for (const path of paths) {
    let parent: Record<PropertyKey, unknown> | undefined = root
    let last: PropertyKey = 'input'
    for (const step of path) {
      const child: unknown = parent?.[last]
      parent = isObject(child) ? child : undefined
      last = step
    }
    if (Array.isArray(parent)) parent[Number(last)] = undefined
    else if (parent !== undefined) Reflect.deleteProperty(parent, last)
  }
  return root['input']
}

function flawsOf(issue: Issue, parents: DocumentPath, origins: Origins): Flaw[] {
  const path = [...parents, ...issue.path]
  const own = issue.message.startsWith(DEFAULT_MESSAGE) ? null : issue.message
  const one = (problem: string, expected: string, sound = false): Flaw[] => [
    { path, problem, expected: own ?? expected, sound },
  ]
  switch (issue.code) {
    case 'invalid_type':
      return one(stands(issue.input, issue.expected), typeName(issue.expected, issue.input))
    case 'invalid_value': {
      const meant = nearestName(issue.input, issue.values)
      if (meant !== null) return one(`${stands(issue.input)}, did you mean ${shown(meant)}?`, '')
      return one(stands(issue.input), oneOf(issue.values.map(shown)))
    }
    case 'unrecognized_keys': {
      const known = knownKeys(issue, origins)
      return issue.keys.map((key) => ({ path: [...path, key], ...unknownKey(key, known), sound: false }))
    }
    case 'too_small':
      return one(...size(issue.input, issue.origin, 'at least', issue.minimum, issue.inclusive))
    case 'too_big':
      return one(...size(issue.input, issue.origin, 'at most', issue.maximum, issue.inclusive))
    case 'invalid_format':
      return one(
        stands(issue.input),
        issue.pattern === undefined ? `a valid ${issue.format}` : `to match ${issue.pattern}`,
      )
    case 'not_multiple_of':
      return one(stands(issue.input), `a multiple of ${issue.divisor}`)
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.flatMap((inner) => flawsOf(inner, path, origins))
    case 'invalid_union':
      return own === null ? unionFlaws(issue, path, origins) : one(stands(issue.input, 'object'), own)
    case 'custom':
      return [{ path, problem: own ?? 'is not valid', expected: expectation(issue), sound: isObject(issue.input) }]
  }
}

function expectation(issue: z.core.$ZodIssueCustom): string {
  const expected: unknown = issue.params?.['expected']
  return typeof expected === 'string' ? expected : ''
}

/** Null when a message of its own hides which schema it was. */
function knownKeys(issue: Issue, origins: Origins): readonly string[] | null {
  const origin = origins[Number(issue.message.slice(DEFAULT_MESSAGE.length))]
  return origin instanceof z.core.$ZodObject ? Object.keys(origin._zod.def.shape) : null
}

function unknownKey(key: string, known: readonly string[] | null): { problem: string; expected: string } {
  const meant = nearestName(key, known ?? [])
  if (meant !== null) return { problem: `unknown key, did you mean ${shown(meant)}?`, expected: '' }
  const expected = known?.length === 0 ? 'no keys' : oneOf((known ?? []).toSorted())
  return { problem: 'unknown key', expected }
}

function size(
  input: unknown,
  origin: string,
  side: 'at least' | 'at most',
  limit: number | bigint,
  inclusive = true,
): [problem: string, expected: string, sound: boolean] {
  if (origin === 'string') return [stands(input), `${side} ${limit} ${limit === 1 ? 'character' : 'characters'}`, false]
  if (Array.isArray(input)) {
    const problem = input.length === 0 ? 'is an empty list' : `has ${input.length} entries`
    return [problem, `${side} ${limit} ${limit === 1 ? 'entry' : 'entries'}`, true]
  }
  if (isObject(input)) {
    return [`has ${Object.keys(input).length} keys`, `${side} ${limit} ${limit === 1 ? 'key' : 'keys'}`, true]
  }
  const exclusive = side === 'at least' ? 'more than' : 'less than'
  return [stands(input), `${inclusive ? side : exclusive} ${limit}`, false]
}

/** The mistakes of the branch that was meant: the one whose keys the value has. */
function unionFlaws(issue: z.core.$ZodIssueInvalidUnion, path: DocumentPath, origins: Origins): Flaw[] {
  if (issue.errors.length === 0) return [discriminatorFlaw(issue, path)]
  const branches = issue.errors.map((issues) => ({
    flaws: issues.flatMap((inner) => flawsOf(inner, path, origins)),
    unlike: issues.some((inner) => inner.path.length === 0 && isMismatch(inner)),
    /** Keys at the root of the value that the branch does not know or misses. */
    strange: issues.reduce((sum, inner) => sum + strangeKeys(inner), 0),
  }))
  const alike = branches.filter((branch) => !branch.unlike)
  const [best] = alike.toSorted((a, b) => a.strange - b.strange || a.flaws.length - b.flaws.length)
  if (best !== undefined) return best.flaws
  const expected = oneOf(branches.flatMap((branch) => branch.flaws.map((flaw) => flaw.expected)))
  return [{ path, problem: stands(issue.input, 'object'), expected, sound: false }]
}

/** The path of the issue ends with the discriminator; its input is the object. */
function discriminatorFlaw(issue: z.core.$ZodIssueInvalidUnion, path: DocumentPath): Flaw {
  const key = path.at(-1)
  const value: unknown = isObject(issue.input) && key !== undefined ? issue.input[key] : issue.input
  const options = 'options' in issue ? (issue.options ?? []) : []
  return { path, problem: stands(value), expected: oneOf(options.map(shown)), sound: false }
}

function isMismatch(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_format'
}

function strangeKeys(issue: Issue): number {
  if (issue.code === 'unrecognized_keys' && issue.path.length === 0) return issue.keys.length
  if (issue.code === 'invalid_value' && issue.path.length === 1) return 1
  return issue.code === 'invalid_type' && issue.path.length === 1 && issue.input === undefined ? 1 : 0
}
