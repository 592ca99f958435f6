import type { RequestInfo } from '../../src/kube/request-info.ts'
import type { Subject } from '../../src/kube/subject.ts'
import type { Attributes } from '../../src/policy/authorizer.ts'

/** A subject; groups are all that most rules look at. */
export function subject(username: string, ...groups: readonly string[]): Subject {
  return { username, uid: '', groups, extra: {} }
}

/**
 * A request in the words of rules: `VERB RESOURCE[.GROUP][/SUBRESOURCE] [NAME] [-n NAMESPACE]`, or `VERB /PATH`.
 * `-` stands for the empty verb.
 */
export function request(words: string): RequestInfo {
  const [, verb = '', what = '', name = '', namespace = ''] =
    /^([^ ]+) ([^ ]+)(?: (?!-n )([^ ]+))?(?: -n ([^ ]+))?$/.exec(words) ?? []
  if (what === '') throw new TypeError(`not a request: ${words}`)
  const [, resource = '', apiGroup = '', subresource = ''] = /^([^./]*)(?:\.([^/]+))?(?:\/(.+))?$/.exec(what) ?? []
  const path = what.startsWith('/')
  return {
    isResourceRequest: !path,
    path: path ? what : `/apis/${apiGroup}/v1/${resource}`,
    verb: verb === '-' ? '' : verb,
    apiPrefix: '',
    apiGroup: path ? '' : apiGroup,
    apiVersion: '',
    namespace,
    resource: path ? '' : resource,
    subresource: path ? '' : subresource,
    name,
    parts: [],
    fieldSelector: '',
    labelSelector: '',
  }
}

/** Attributes of a request on the socket `production`, from 10.1.2.3, at the beginning of the epoch. */
export function attributes(
  caller: Subject,
  requestInfo: RequestInfo,
  rest: Partial<Omit<Attributes, 'subject' | 'requestInfo'>> = {},
): Attributes {
  return { subject: caller, requestInfo, socket: 'production', sourceIP: '10.1.2.3', atMs: 0, ...rest }
}
