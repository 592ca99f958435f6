import type { RequestInfo } from '../kube/request-info.ts'
import type { Subject } from '../kube/subject.ts'

/** How the response began or ended. `message` and `reason` belong to refusals of our own. */
export interface AuditedOutcome {
  /** The HTTP status code; 499 when the client left before there was one. */
  readonly code: number
  readonly reason?: string
  readonly message?: string
}

/** Everything that an event tells. */
export interface EventParts {
  readonly stage: 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete'
  readonly auditId: string
  /** Bounded to {@link MAX_FIELD_CHARS} in the event. */
  readonly requestURI: string
  /** Null when the target could not be read. */
  readonly requestInfo: RequestInfo | null
  readonly sourceIP: string
  readonly userAgent: string
  readonly receivedAtMs: number
  /** The user as JSON, from {@link renderSubject}; `{}` before it is known. */
  readonly user: string
  /** Whom the user acts as, likewise; empty when they act as themselves. */
  readonly impersonatedUser: string
  /** Name, value, name, value, … */
  readonly annotations: readonly string[]
  readonly outcome: AuditedOutcome | null
  readonly atMs: number
}

/** Longest text that a client may put into one field of an event, in characters; the rest is cut and marked. */
export const MAX_FIELD_CHARS = 16_384
const MAX_USER_AGENT_CHARS = 512

/**
 * Renders an audit.k8s.io/v1 Event at level Metadata as one line of JSON, ended by a line feed.
 *
 * Written by hand: this runs for every parts.
 *
 * @see k8s.io/apiserver `pkg/apis/audit/v1/types.go`
 */
export function renderEvent(parts: EventParts): string {
  const { requestInfo: info, outcome } = parts
  let line =
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":' +
    quote(parts.auditId) +
    ',"stage":"' +
    parts.stage +
    '","requestURI":' +
    quote(bounded(parts.requestURI, MAX_FIELD_CHARS)) +
    ',"verb":' +
    quote(info?.verb ?? '') +
    ',"user":' +
    parts.user +
    (parts.impersonatedUser === '' ? '' : ',"impersonatedUser":' + parts.impersonatedUser) +
    ',"sourceIPs":[' +
    quote(parts.sourceIP) +
    ']'
  if (parts.userAgent !== '') line += ',"userAgent":' + quote(bounded(parts.userAgent, MAX_USER_AGENT_CHARS))
  if (info?.isResourceRequest === true) line += ',"objectRef":' + renderObjectReference(info)
  if (outcome !== null) line += ',"responseStatus":' + renderOutcome(outcome)
  line +=
    ',"requestReceivedTimestamp":"' +
    microTime(parts.receivedAtMs) +
    '","stageTimestamp":"' +
    microTime(parts.atMs) +
    '","annotations":{'
  const { annotations } = parts
  for (let i = 0; i + 1 < annotations.length; i += 2) {
    if (i > 0) line += ','
    line += quote(annotations[i] ?? '') + ':' + quote(bounded(annotations[i + 1] ?? '', MAX_FIELD_CHARS))
  }
  return line + '}}\n'
}

function renderObjectReference(info: RequestInfo): string {
  let text = '{"resource":' + quote(info.resource)
  if (info.namespace !== '') text += ',"namespace":' + quote(info.namespace)
  if (info.name !== '') text += ',"name":' + quote(info.name)
  if (info.apiGroup !== '') text += ',"apiGroup":' + quote(info.apiGroup)
  text += ',"apiVersion":' + quote(info.apiVersion)
  if (info.subresource !== '') text += ',"subresource":' + quote(info.subresource)
  return text + '}'
}

function renderOutcome(outcome: AuditedOutcome): string {
  let text = '{"metadata":{}'
  if (outcome.message !== undefined) {
    text += ',"status":"Failure","message":' + quote(bounded(outcome.message, MAX_FIELD_CHARS))
  }
  if (outcome.reason !== undefined) text += ',"reason":' + quote(outcome.reason)
  return text + ',"code":' + String(outcome.code) + '}'
}

/** The `user` field of an event: a JSON object. */
export function renderSubject(subject: Subject): string {
  return JSON.stringify({
    username: subject.username,
    ...(subject.uid === '' ? {} : { uid: subject.uid }),
    ...(subject.groups.length === 0 ? {} : { groups: subject.groups }),
    ...(Object.keys(subject.extra).length === 0 ? {} : { extra: subject.extra }),
  })
}

const PLAIN = /^[ !#-[\]-~]*$/

function quote(text: string): string {
  return PLAIN.test(text) ? '"' + text + '"' : JSON.stringify(text)
}

function bounded(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length} characters)`
}

/** `metav1.MicroTime`: RFC 3339 with six digits of a second. */
function microTime(ms: number): string {
  const text = new Date(ms).toISOString()
  return text.slice(0, -1) + '000Z'
}
