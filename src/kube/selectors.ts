/**
 * The value that a field selector requires of one field, as kube-apiserver sees it.
 *
 * Returns undefined when the selector does not parse, or names the field in no `=` or `==` term. Of several
 * such terms the first in order of bytes counts. Linear in the length of the selector, which is valid UTF-16.
 *
 * @see k8s.io/apimachinery `pkg/fields/selector.go`, ParseSelector and RequiresExactMatch (v0.36)
 */
export function requiredFieldValue(fieldSelector: string, field: string): string | undefined {
  let first: { readonly term: string; readonly value: string } | undefined
  for (const term of splitTerms(fieldSelector)) {
    if (term === '') continue
    const parsed = parseFieldTerm(term)
    if (parsed === undefined) return undefined
    if (!parsed.isEqual || parsed.field !== field) continue
    if (first === undefined || precedesInBytes(term, first.term)) first = { term, value: parsed.value }
  }
  return first?.value
}

/** Splits at each comma that no backslash escapes; the terms keep their backslashes. */
function splitTerms(fieldSelector: string): string[] {
  if (!fieldSelector.includes('\\')) return fieldSelector.split(',')
  const terms: string[] = []
  let start = 0
  for (let i = 0; i < fieldSelector.length; i++) {
    if (fieldSelector[i] === '\\') i++
    else if (fieldSelector[i] === ',') {
      terms.push(fieldSelector.slice(start, i))
      start = i + 1
    }
  }
  terms.push(fieldSelector.slice(start))
  return terms
}

interface FieldTerm {
  readonly field: string
  readonly isEqual: boolean
  readonly value: string
}

/** Splits a term at its first `!=`, `==` or `=`; undefined when there is none or the value does not unescape. */
function parseFieldTerm(term: string): FieldTerm | undefined {
  const equals = term.indexOf('=')
  if (equals === -1) return undefined
  const isEqual = equals === 0 || term[equals - 1] !== '!'
  const field = term.slice(0, isEqual ? equals : equals - 1)
  const value = unescapeValue(term.slice(isEqual && term[equals + 1] === '=' ? equals + 2 : equals + 1))
  return value === undefined ? undefined : { field, isEqual, value }
}

/** A backslash may stand only before `\`, `,` and `=`, and these only behind one. */
function unescapeValue(escaped: string): string | undefined {
  if (!/[\\,=]/.test(escaped)) return escaped
  return /^(?:[^\\,=]|\\[\\,=])*$/.test(escaped) ? escaped.replace(/\\([\\,=])/g, '$1') : undefined
}

/** Compares by UTF-8 bytes, which is the order of code points; JavaScript's own order is by UTF-16 units. */
function precedesInBytes(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
}

/**
 * Whether kube-apiserver can parse a label selector. The text must not hold NUL. Linear in its length.
 *
 * @see k8s.io/apimachinery `pkg/labels/selector.go`, Parse (v0.36)
 */
export function isLabelSelector(labelSelector: string): boolean {
  if (labelSelector === '') return true
  const tokens = new LabelTokens(labelSelector)
  if (tokens.peek() === undefined) return true
  for (;;) {
    if (!readRequirement(tokens)) return false
    const next = tokens.next()
    if (next === undefined) return true
    if (next !== ',') return false
  }
}

/** `!` and operators are tokens of their own, and so is everything else up to white space or one of them. */
class LabelTokens {
  readonly #tokens: readonly string[]
  #position = 0

  constructor(labelSelector: string) {
    this.#tokens = labelSelector.match(/[=!]=|[=!(),<>]|[^=!(),<> \t\r\n]+/g) ?? []
  }

  /** The next token, which stays; undefined at the end. */
  peek(): string | undefined {
    return this.#tokens[this.#position]
  }

  next(): string | undefined {
    return this.#tokens[this.#position++]
  }
}

function isWord(token: string | undefined): token is string {
  return token !== undefined && !/^[=!(),<>]/.test(token)
}

/** Reads `KEY`, `!KEY`, `KEY OPERATOR VALUE` or `KEY in (VALUES)`. */
function readRequirement(tokens: LabelTokens): boolean {
  const isNegated = tokens.peek() === '!'
  if (isNegated) tokens.next()
  const key = tokens.next()
  if (!isWord(key) || !isLabelKey(key)) return false
  const following = tokens.peek()
  if (isNegated || following === undefined || following === ',') return true
  const operator = tokens.next()
  switch (operator) {
    case '=':
    case '==':
    case '!=':
      return isLabelValue(readValue(tokens))
    case '<':
    case '>':
      return isNumericLabelValue(readValue(tokens))
    case 'in':
    case 'notin':
      return readValueSet(tokens)
    default:
      return false
  }
}

/** The empty string stands for a value that is left out; undefined for something that is no value. */
function readValue(tokens: LabelTokens): string | undefined {
  const token = tokens.peek()
  if (token === undefined || token === ',') return ''
  tokens.next()
  return isWord(token) ? token : undefined
}

/** Reads `(a,b)`; values may be left out, as in `()` and `(,a,)`. */
function readValueSet(tokens: LabelTokens): boolean {
  if (tokens.next() !== '(') return false
  for (;;) {
    if (isWord(tokens.peek()) && !isLabelValue(tokens.next())) return false
    const next = tokens.next()
    if (next === ')') return true
    if (next !== ',') return false
  }
}

const MAX_LABEL_CHARACTERS = 63
const MAX_PREFIX_CHARACTERS = 253
const LABEL_NAME = /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?$/
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

/** @see k8s.io/apimachinery `pkg/api/validate/content/kube.go`, IsLabelKey (v0.36) */
function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/')
  return isLabelName(key.slice(slash + 1)) && (slash === -1 || isDnsSubdomain(key.slice(0, slash)))
}

function isLabelName(name: string): boolean {
  return name.length <= MAX_LABEL_CHARACTERS && LABEL_NAME.test(name)
}

function isDnsSubdomain(name: string): boolean {
  if (name.length > MAX_PREFIX_CHARACTERS) return false
  return name.split('.').every((label) => DNS_LABEL.test(label))
}

function isLabelValue(value: string | undefined): boolean {
  return value === '' || (value !== undefined && isLabelName(value))
}

function isNumericLabelValue(value: string | undefined): boolean {
  return value !== undefined && isLabelValue(value) && isInt64(value)
}

const MAX_INT64 = '9223372036854775807'
/** Without its sign. */
const MIN_INT64 = '9223372036854775808'

/** Whether Go's `strconv.ParseInt(text, 10, 64)` takes the text. */
export function isInt64(text: string): boolean {
  if (!/^[+-]?\d+$/.test(text)) return false
  const limit = text.startsWith('-') ? MIN_INT64 : MAX_INT64
  const digits = text.replace(/^[+-]/, '').replace(/^0+/, '')
  return digits.length < limit.length || (digits.length === limit.length && digits <= limit)
}
