import { excerpt } from './quote.ts'
import type { RawHeaders } from './raw-headers.ts'
import type { RequestInfo } from './request-info.ts'
import { badRequest } from './status.ts'
import type { Subject } from './subject.ts'

/** Most pieces (user, uid, groups, values of extra) of an identity that a client may ask to assume; each is one decision. */
const MAX_PIECES = 64

/** Somebody whom a client asks to be, and what it has to be allowed for that. */
export interface AssumedIdentity {
  readonly subject: Subject
  /** Verb `impersonate` on each piece; all of them have to be allowed. */
  readonly checks: readonly RequestInfo[]
}

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/

/**
 * The identity that `Impersonate-*` headers ask for (`kubectl --as`); null when there is none.
 *
 * @throws StatusError 400 for a uid, groups or extra without a user, an empty or repeated user, values that are not
 * UTF-8, headers of that prefix that are not known, and more than {@link MAX_PIECES}.
 * @see k8s.io/apiserver `pkg/endpoints/filters/impersonation` (v0.36)
 */
export function parseAssumedIdentity(headers: RawHeaders): AssumedIdentity | null {
  const users: string[] = []
  const uids: string[] = []
  const groups: string[] = []
  const extra = Object.create(null) as Record<string, string[]>
  let pieces = 0
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase()
    if (!name.startsWith('impersonate-')) continue
    const value = decodeValue(headers[i + 1] ?? '')
    if ((pieces += 1) > MAX_PIECES) throw badRequest(`more than ${MAX_PIECES} Impersonate headers`)
    if (name === 'impersonate-user') users.push(value)
    else if (name === 'impersonate-uid') uids.push(value)
    else if (name === 'impersonate-group') groups.push(value)
    else if (name.startsWith('impersonate-extra-')) (extra[decodeKey(name)] ??= []).push(value)
    else throw badRequest(`the header ${excerpt(name)} is not known`)
  }
  if (pieces === 0) return null
  const [username = ''] = users
  const [uid = ''] = uids
  if (users.length !== 1 || username === '') throw badRequest('exactly one Impersonate-User has to be given')
  if (uids.length > 1) throw badRequest('the header impersonate-uid is repeated')
  return {
    subject: { username, uid, groups: groups.length > 0 ? groups : impliedGroups(username), extra },
    checks: [
      userCheck(username),
      ...(uid === '' ? [] : [check('authentication.k8s.io', 'uids', uid)]),
      ...groups.map((group) => check('', 'groups', group)),
      ...Object.entries(extra).flatMap(([key, values]) =>
        values.map((value) => ({ ...check('authentication.k8s.io', 'userextras', value), subresource: key })),
      ),
    ],
  }
}

function impliedGroups(username: string): string[] {
  const [, namespace] = SERVICE_ACCOUNT.exec(username) ?? []
  return namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`]
}

function userCheck(username: string): RequestInfo {
  const [, namespace, name] = SERVICE_ACCOUNT.exec(username) ?? []
  if (namespace === undefined || name === undefined) return check('', 'users', username)
  return { ...check('', 'serviceaccounts', name), namespace }
}

function check(apiGroup: string, resource: string, name: string): RequestInfo {
  return {
    isResourceRequest: true,
    path: '',
    verb: 'impersonate',
    apiPrefix: apiGroup === '' ? 'api' : 'apis',
    apiGroup,
    apiVersion: 'v1',
    namespace: '',
    resource,
    subresource: '',
    name,
    parts: [resource, name],
    fieldSelector: '',
    labelSelector: '',
  }
}

/** Header values are bytes, one a character; Kubernetes reads them as UTF-8. */
function decodeValue(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'))
  } catch (error) {
    throw badRequest('an Impersonate header is not UTF-8', { cause: error })
  }
}

function decodeKey(name: string): string {
  const key = name.slice('impersonate-extra-'.length)
  if (key === '') throw badRequest('an Impersonate-Extra header has no key')
  try {
    return decodeURIComponent(key).toLowerCase()
  } catch (error) {
    throw badRequest(`the key of ${excerpt(name)} is malformed`, { cause: error })
  }
}
