import { percentDecode } from './percent-encoding.ts'
import { excerpt } from './quote.ts'
import { badRequest } from './status.ts'

/** One parameter, decoded once: `+` is a space, a bare key has the empty value. */
interface Parameter {
  readonly name: string
  readonly value: string
}

/** The parameters in the order in which they came. */
export type Query = readonly Parameter[]

/** A query and the text that stands for it. */
export interface ParsedQuery {
  readonly query: Query
  /** As Go's `url.QueryEscape` would write it, without the `?`; empty when there is no parameter. */
  readonly canonical: string
}

/** Most pairs of a query. An exec repeats `command` for each argument; Go drops a query of more than 10,000 pairs. */
export const MAX_QUERY_PAIRS = 2048

/**
 * Parameters that say what is asked for, each with a bit of its own. Servers differ in which of two they
 * obey, so each may stand only once; only `dryRun` may be repeated, as long as every value is `All`.
 */
const SINGLE_VALUED: ReadonlyMap<string, number> = new Map(
  [
    'watch',
    'fieldSelector',
    'labelSelector',
    'limit',
    'continue',
    'resourceVersion',
    'resourceVersionMatch',
    'timeoutSeconds',
    'dryRun',
    'fieldManager',
    'force',
    'container',
    'stdin',
    'stdout',
    'stderr',
    'tty',
    'follow',
    'previous',
    'tailLines',
    'sendInitialEvents',
    'shardSelector',
    'path',
  ].map((name, index) => [name, 1 << index]),
)

/**
 * Parameters that Kubernetes checks against the identity it sees, which may be the connector's, or not at all: one
 * deletes what cannot be read, the other takes a log from whoever answers in the kubelet's place.
 */
const REFUSED_PARAMETERS: ReadonlySet<string> = new Set([
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'insecureSkipTLSVerifyBackend',
])

const REFUSED_CHARACTER = /[^!-~]|[#;]/
const CANONICAL = /^[\w.~-]+=[\w.~-]*(?:&[\w.~-]+=[\w.~-]*)*$/
const NEEDS_DECODING = /[%+]/
const UNRESERVED = /^[\w.~-]*$/
const NOTHING: ParsedQuery = Object.freeze({ query: Object.freeze([]), canonical: '' })

/** The value of the first parameter of this name. Kubernetes reads the first and ignores the rest. */
export function firstValue(query: Query, name: string): string | undefined {
  for (const parameter of query) if (parameter.name === name) return parameter.value
  return undefined
}

/**
 * Kubernetes' reading of a boolean parameter: absent, `0` and `false` in any case are false, everything else is true.
 *
 * @throws StatusError 400 for a value outside ASCII: Go folds `ſ` to `s` in one of its two readings, and not in the other.
 * @see k8s.io/apimachinery `pkg/runtime/converter.go`, Convert_Slice_string_To_bool
 */
export function isTrue(query: Query, name: string): boolean {
  const value = firstValue(query, name)
  if (value === undefined) return false
  if (/[^\0-\x7f]/.test(value)) throw badRequest(`the parameter ${name} has the value ${excerpt(value)}`)
  return value !== '0' && value.toLowerCase() !== 'false'
}

/**
 * Parses what stands behind the first `?` of a target. Linear in its length.
 *
 * @throws StatusError 400 for bytes outside printable ASCII, `#`, `;`, malformed escapes, text that is not
 * UTF-8, NUL, too many pairs, a repeated parameter that says what is asked for, and the parameters that are never let
 * through.
 */
export function parseQuery(raw: string): ParsedQuery {
  if (raw === '') return NOTHING
  const refused = REFUSED_CHARACTER.exec(raw)
  if (refused !== null) throw badRequest(`the query holds ${excerpt(refused[0])} unescaped`)
  const pairs = raw.split('&', MAX_QUERY_PAIRS + 1)
  if (pairs.length > MAX_QUERY_PAIRS) throw badRequest(`the query has more than ${MAX_QUERY_PAIRS} parameters`)
  const query: Parameter[] = []
  for (const pair of pairs) if (pair !== '') query.push(parsePair(pair))
  refuseParameters(query)
  return { query, canonical: CANONICAL.test(raw) ? raw : query.map(renderParameter).join('&') }
}

function parsePair(pair: string): Parameter {
  const equals = pair.indexOf('=')
  return equals === -1
    ? { name: decode(pair), value: '' }
    : { name: decode(pair.slice(0, equals)), value: decode(pair.slice(equals + 1)) }
}

function decode(raw: string): string {
  if (!NEEDS_DECODING.test(raw)) return raw
  const text = percentDecode(raw.replaceAll('+', ' '))
  if (text === undefined) throw badRequest(`the query holds a malformed escape in ${excerpt(raw)}`)
  // A NUL ends a label selector for Go's lexer, so that what follows it would not count.
  if (text.includes('\0')) throw badRequest(`the query holds a NUL in ${excerpt(raw)}`)
  return text
}

function refuseParameters(query: Query): void {
  let seen = 0
  let dryRun: string | undefined
  for (const { name, value } of query) {
    if (REFUSED_PARAMETERS.has(name)) throw badRequest(`the parameter ${name} is not let through`)
    const bit = SINGLE_VALUED.get(name)
    if (bit === undefined) continue
    const isDryRunAgain = name === 'dryRun' && value === 'All' && dryRun === 'All'
    if ((seen & bit) !== 0 && !isDryRunAgain) throw badRequest(`the query repeats the parameter ${name}`)
    if (name === 'dryRun') dryRun ??= value
    seen |= bit
  }
}

function renderParameter({ name, value }: Parameter): string {
  return `${encode(name)}=${encode(value)}`
}

function encode(text: string): string {
  if (UNRESERVED.test(text)) return text
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
