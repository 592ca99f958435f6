/** Namespace of the functions on lists as sets. */
export class Sets {
  readonly name = 'sets'
}

type List = readonly unknown[]

/**
 * Functions on lists by their signatures. Positions are counted from 0.
 *
 * @see k8s.io/apiserver `pkg/cel/library/lists.go`; cel-go `ext/lists.go`, `ext/sets.go`
 */
export const LIST_FUNCTIONS = {
  'list.indexOf(dyn): int': (list: List, entry: unknown) => BigInt(list.findIndex(equalTo(entry))),
  'list.lastIndexOf(dyn): int': (list: List, entry: unknown) => BigInt(list.findLastIndex(equalTo(entry))),
  'list.distinct(): list': (list: List) => list.filter((entry, index) => list.findIndex(equalTo(entry)) === index),
  'list.reverse(): list': (list: List) => list.toReversed(),
  'list.slice(int, int): list': slice,
  'list.flatten(): list': (list: List) => list.flat(),
  'list.sort(): list': (list: List) => comparable(list).toSorted(compare),
  'list.isSorted(): bool': (list: List) =>
    comparable(list).every((entry, index, all) => index === 0 || compare(all[index - 1] ?? entry, entry) <= 0),
  'list.min(): dyn': (list: List) => extreme(list, -1),
  'list.max(): dyn': (list: List) => extreme(list, 1),
  'list.sum(): dyn': sum,
  'Sets.contains(list, list): bool': (_: Sets, list: List, some: List) => includesAll(list, some),
  'Sets.equivalent(list, list): bool': (_: Sets, one: List, other: List) =>
    includesAll(one, other) && includesAll(other, one),
  'Sets.intersects(list, list): bool': (_: Sets, one: List, other: List) =>
    one.some((entry) => other.some(equalTo(entry))),
} as const

function includesAll(list: List, some: List): boolean {
  return some.every((entry) => list.some(equalTo(entry)))
}

/** Equality as the language has it: numbers by their value, whatever their type, and lists and maps by what they hold. */
function equalTo(one: unknown): (other: unknown) => boolean {
  return (other) => areEqual(one, other)
}

function areEqual(one: unknown, other: unknown): boolean {
  if (isNumber(one) && isNumber(other)) return one >= other && one <= other
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((entry, index) => areEqual(entry, other[index]))
  const [entries, others] = [entriesOf(one), entriesOf(other)]
  if (entries !== undefined && others !== undefined)
    return (
      entries.size === others.size &&
      [...entries].every(([key, value]) => others.has(key) && areEqual(value, others.get(key)))
    )
  return one === other
}

/** Claims are maps; what is written out is a plain object. */
function entriesOf(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  if (value instanceof Map) return value
  const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return plain ? new Map(Object.entries(value)) : undefined
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function slice(list: List, from: bigint, to: bigint): List {
  if (from < 0n || to < from || to > BigInt(list.length)) throw new RangeError(`slice out of range: ${from} to ${to}`)
  return list.slice(Number(from), Number(to))
}

type Comparable = string | number | bigint | boolean

function comparable(list: List): readonly Comparable[] {
  const kinds = new Set(list.map((entry) => typeof entry))
  const fit = kinds.isSubsetOf(new Set(['string', 'number', 'bigint', 'boolean']))
  if (!fit || kinds.size > 1) throw new TypeError('only lists of text, of numbers or of true and false have an order')
  return list as readonly Comparable[]
}

/** Text in the order of its UTF-8. */
function compare(one: Comparable, other: Comparable): number {
  if (typeof one === 'string' && typeof other === 'string') return Buffer.compare(Buffer.from(one), Buffer.from(other))
  return one < other ? -1 : Number(one > other)
}

function extreme(list: List, sign: 1 | -1): Comparable {
  const [first, ...rest] = comparable(list)
  if (first === undefined) throw new RangeError('an empty list has no smallest and no largest entry')
  return rest.reduce((best, entry) => (compare(entry, best) * sign > 0 ? entry : best), first)
}

function sum(list: List): number | bigint {
  if (list.every((entry) => typeof entry === 'bigint')) return list.reduce((total, entry) => total + entry, 0n)
  if (list.every((entry) => typeof entry === 'number')) return list.reduce((total, entry) => total + entry, 0)
  throw new TypeError('only numbers of one type have a sum')
}
