import type { RequestInfo } from '../../src/kube/request-info.ts'

/**
 * kube-apiserver's resolver once more, written step by step from the rules and with no thought of speed, so that two
 * readings of the same rules can be held against each other. Takes any target that a server could decode.
 */
export function naiveRequestInfo(method: string, target: string): RequestInfo {
  const question = target.indexOf('?')
  const path = decodeURIComponent(question < 0 ? target : target.slice(0, question))
  const query = question < 0 ? [] : decodeQuery(target.slice(question + 1))
  const first = (name: string): string | undefined => query.find(([key]) => key === name)?.[1]

  const info = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiPrefix: '',
    apiGroup: '',
    apiVersion: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    parts: [] as string[],
    fieldSelector: '',
    labelSelector: '',
  }
  const trimmed = path.replace(/^\/+/, '').replace(/\/+$/, '')
  let parts = trimmed === '' ? [] : trimmed.split('/')
  if (parts.length < 3) return info
  if (parts[0] !== 'api' && parts[0] !== 'apis') return info
  info.apiPrefix = parts[0]
  parts = parts.slice(1)
  if (info.apiPrefix === 'apis') {
    if (parts.length < 3) return info
    info.apiGroup = parts[0] ?? ''
    parts = parts.slice(1)
  }
  info.isResourceRequest = true
  info.apiVersion = parts[0] ?? ''
  parts = parts.slice(1)

  const verbByPath = parts[0] === 'proxy' || parts[0] === 'watch'
  if (verbByPath) {
    info.verb = parts[0] ?? ''
    parts = parts.slice(1)
  } else if (method === 'POST') info.verb = 'create'
  else if (method === 'GET' || method === 'HEAD') info.verb = 'get'
  else if (method === 'PUT') info.verb = 'update'
  else if (method === 'PATCH') info.verb = 'patch'
  else if (method === 'DELETE') info.verb = 'delete'
  else info.verb = ''

  if (parts[0] === 'namespaces' && parts.length > 1) {
    info.namespace = parts[1] ?? ''
    if (parts.length > 2 && parts[2] !== 'status' && parts[2] !== 'finalize') parts = parts.slice(2)
  }
  info.parts = parts
  info.resource = parts[0] ?? ''
  info.name = parts[1] ?? ''
  if (info.verb !== 'proxy') info.subresource = parts[2] ?? ''

  if (info.name === '' && info.verb === 'get') {
    const watch = first('watch')
    info.verb = watch === undefined || watch === '0' || watch.toLowerCase() === 'false' ? 'list' : 'watch'
    const terms = parseFieldSelector(first('fieldSelector') ?? '')
    const decodes =
      terms !== null &&
      parsesAsLabelSelector(first('labelSelector') ?? '') &&
      parsesAsInteger(first('limit')) &&
      parsesAsInteger(first('timeoutSeconds'))
    const exact = terms?.find(([field, isEqual]) => field === 'metadata.name' && isEqual)?.[2] ?? ''
    if (decodes && exact !== '.' && exact !== '..' && !exact.includes('/') && !exact.includes('%')) info.name = exact
  }
  if (info.name === '' && info.verb === 'delete') info.verb = 'deletecollection'
  if (!verbByPath && ['list', 'watch', 'deletecollection'].includes(info.verb)) {
    info.fieldSelector = first('fieldSelector') ?? ''
    info.labelSelector = first('labelSelector') ?? ''
  }
  return info
}

function decodeQuery(raw: string): [string, string][] {
  const decode = (text: string): string => decodeURIComponent(text.split('+').join(' '))
  return raw
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [key = '', ...rest] = pair.split('=')
      return [decode(key), decode(rest.join('='))]
    })
}

function parsesAsInteger(text: string | undefined): boolean {
  if (text === undefined) return true
  if (!/^[+-]?[0-9]+$/.test(text)) return false
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return value >= -(2n ** 63n) && value < 2n ** 63n
}

type Term = readonly [field: string, isEqual: boolean, value: string]

/** Sorted by bytes; null when any term does not parse. */
function parseFieldSelector(text: string): Term[] | null {
  const terms: string[] = ['']
  let escaped = false
  for (const character of text) {
    if (!escaped && character === ',') terms.push('')
    else terms.push((terms.pop() ?? '') + character)
    escaped = !escaped && character === '\\'
  }
  terms.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const parsed = terms.filter((term) => term !== '').map(parseFieldTerm)
  return parsed.includes(null) ? null : parsed.filter((term) => term !== null)
}

function parseFieldTerm(term: string): Term | null {
  for (let i = 0; i < term.length; i++) {
    for (const operator of ['!=', '==', '=']) {
      if (!term.startsWith(operator, i)) continue
      const value = unescape(term.slice(i + operator.length))
      return value === null ? null : [term.slice(0, i), operator !== '!=', value]
    }
  }
  return null
}

function unescape(text: string): string | null {
  let value = ''
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? ''
    if (character === ',' || character === '=') return null
    if (character === '\\') {
      i++
      if (text[i] !== '\\' && text[i] !== ',' && text[i] !== '=') return null
    }
    value += text[i] ?? ''
  }
  return value
}

function parsesAsLabelSelector(text: string): boolean {
  let rest = text
  const skip = (): void => {
    rest = rest.replace(/^[ \t\r\n]+/, '')
  }
  const eat = (token: string): boolean => {
    skip()
    if (!rest.startsWith(token)) return false
    rest = rest.slice(token.length)
    return true
  }
  const word = (): string => {
    skip()
    const found = /^[^ \t\r\n=!(),<>]+/.exec(rest)?.[0] ?? ''
    rest = rest.slice(found.length)
    return found
  }
  const atEnd = (): boolean => {
    skip()
    return rest === '' || rest.startsWith(',')
  }
  const name = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
  const isKey = (key: string): boolean => {
    const [last = '', prefix, ...more] = key.split('/').reverse()
    if (more.length > 0 || !name.test(last)) return false
    return (
      prefix === undefined ||
      (prefix.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(prefix))
    )
  }
  const isValue = (value: string): boolean => value === '' || name.test(value)

  skip()
  if (rest === '') return true
  for (;;) {
    const negated = eat('!')
    if (!isKey(word())) return false
    if (!negated && !atEnd()) {
      if (eat('==') || eat('!=') || eat('=')) {
        if (!isValue(word())) return false
      } else if (eat('<') || eat('>')) {
        const value = word()
        if (value === '' || !isValue(value) || !parsesAsInteger(value)) return false
      } else {
        const operator = word()
        if ((operator !== 'in' && operator !== 'notin') || !eat('(')) return false
        do if (!isValue(word())) return false
        while (eat(','))
        if (!eat(')')) return false
      }
    }
    skip()
    if (rest === '') return true
    if (!eat(',')) return false
    skip()
    if (rest === '') return false
  }
}
