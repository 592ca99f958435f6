import { excerpt } from './quote.ts'
import { StatusError, failure } from './status.ts'
import type { Subject } from './subject.ts'

/** Whose identity the API server sees: the connector's, or the subject's through `Impersonate-*`. */
export type ForwardAs = 'connector' | 'subject'

/** Most bytes of all impersonation headers of a request, names and values. Kubernetes takes 1 MiB of headers. */
export const MAX_IMPERSONATION_BYTES = 256 * 1024

/** What RFC 9110 section 5.6.2 does not let stand in a header name, and `%`. Keys are UTF-8 by then. */
const ESCAPED_IN_KEY = /[^\w!#$&'*+.^`|~-]/g
const CONTROL = /[\0-\x1f\x7f]/

/**
 * The header lines that make the API server take a request for the subject's own. There is always exactly one
 * `Impersonate-User`; each group has a line of its own; values are UTF-8 as latin1 strings.
 *
 * @throws StatusError 403 for a subject that would not arrive as it is: an empty username or group, control
 * characters, white space at an end (which servers cut off), unpaired surrogates, an extra key that is empty or
 * not in lower case, or more than {@link MAX_IMPERSONATION_BYTES}.
 * @see k8s.io/client-go `transport/round_trippers.go`; k8s.io/apiserver
 * `pkg/endpoints/filters/impersonation` (v0.36)
 */
export function impersonationHeaders(subject: Subject): string[] {
  const headers = ['Impersonate-User', encodeName('username', subject.username)]
  if (subject.uid !== '') headers.push('Impersonate-Uid', encodeName('uid', subject.uid))
  for (const group of subject.groups) headers.push('Impersonate-Group', encodeName('group', group))
  for (const [key, values] of Object.entries(subject.extra)) {
    const name = `Impersonate-Extra-${encodeKey(key)}`
    for (const value of values) headers.push(name, encodeValue(`extra ${excerpt(key)}`, value))
  }
  const bytes = headers.reduce((sum, text) => sum + text.length, 0)
  if (bytes > MAX_IMPERSONATION_BYTES)
    throw refusal(`has more than ${MAX_IMPERSONATION_BYTES} bytes of groups and claims`)
  return headers
}

function encodeName(what: string, name: string): string {
  if (name === '') throw refusal(`has an empty ${what}`)
  return encodeValue(what, name)
}

function encodeValue(what: string, value: string): string {
  if (CONTROL.test(value)) throw refusal(`has a control character in the ${what}`)
  if (value.startsWith(' ') || value.endsWith(' ')) throw refusal(`has white space at an end of the ${what}`)
  return toLatin1(what, value)
}

function encodeKey(key: string): string {
  if (key === '' || key !== key.toLowerCase()) throw refusal(`has the key ${excerpt(key)} in extra`)
  return toLatin1('key of an extra', key).replace(
    ESCAPED_IN_KEY,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** UTF-8 bytes, one a character, which is what Node writes out for a header. */
function toLatin1(what: string, text: string): string {
  if (!text.isWellFormed()) throw refusal(`has half a character in the ${what}`)
  return Buffer.from(text, 'utf8').toString('latin1')
}

function refusal(why: string): StatusError {
  const message = `forbidden: the subject cannot be impersonated, since it ${why}`
  return new StatusError(failure(403, 'Forbidden', message))
}
