/** Text longer than this is cut where it is shown, in characters. */
const MAX_SHOWN = 60

export function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null
}

/** A scalar as it would be written in JSON, cut to a length that fits into a line. */
export function shown(value: string | number | bigint | boolean | symbol | null | undefined): string {
  if (typeof value !== 'string') return String(value)
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
}

/**
 * What stands where something of type `expected` should. Text where a structure is expected is not repeated: it may
 * be a secret that was written in place of its reference.
 */
export function stands(value: unknown, expected = ''): string {
  if (value === undefined) return 'is missing'
  if (value === null) return 'is empty'
  if (Array.isArray(value)) return 'is a list'
  if (isObject(value)) return 'is an object'
  if (typeof value === 'boolean') return `is ${value}`
  if (typeof value === 'number') return `is the number ${value}`
  if (typeof value !== 'string') return `is a ${typeof value}`
  if (value === '') return 'is an empty string'
  return STRUCTURES.has(expected) ? 'is a string' : `is ${shown(value)}`
}

const STRUCTURES: ReadonlySet<string> = new Set(['object', 'record', 'array', 'map', 'set', 'tuple'])

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['object', 'an object'],
  ['record', 'an object'],
  ['array', 'a list'],
  ['tuple', 'a list'],
  ['string', 'a string'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['undefined', 'nothing here'],
  ['never', 'nothing here'],
])

/** A type as a person would say it, given what stands in its place. */
export function typeName(type: string, value: unknown): string {
  const name = TYPE_NAMES.get(type) ?? type
  const unquoted = type === 'string' && (typeof value === 'number' || typeof value === 'boolean')
  return unquoted ? `${name} (put it in quotes)` : name
}

/** `a`, `a or b`, `one of a, b, c`; each once. */
export function oneOf(choices: readonly string[]): string {
  const distinct = [...new Set(choices)]
  return distinct.length > 2 ? `one of ${distinct.join(', ')}` : distinct.join(' or ')
}
