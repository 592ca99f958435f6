import { redactSecrets } from '../kube/redaction.ts'
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
  readonly sourceIPs: readonly string[]
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
 * What a client wrote is bounded, and what is known to be a secret in it replaced. Written by hand: this runs for every
 * request.
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
    clientText(parts.requestURI) +
    ',"verb":' +
    quote(info?.verb ?? '') +
    ',"user":' +
    parts.user +
    (parts.impersonatedUser === '' ? '' : ',"impersonatedUser":' + parts.impersonatedUser) +
    ',"sourceIPs":[' +
    parts.sourceIPs.map(quote).join(',') +
    ']'
  if (parts.userAgent !== '') line += ',"userAgent":' + clientText(parts.userAgent, MAX_USER_AGENT_CHARS)
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
  let text = '{"resource":' + clientText(info.resource)
  if (info.namespace !== '') text += ',"namespace":' + clientText(info.namespace)
  if (info.name !== '') text += ',"name":' + clientText(info.name)
  if (info.apiGroup !== '') text += ',"apiGroup":' + clientText(info.apiGroup)
  text += ',"apiVersion":' + clientText(info.apiVersion)
  if (info.subresource !== '') text += ',"subresource":' + clientText(info.subresource)
  return text + '}'
}

function renderOutcome(outcome: AuditedOutcome): string {
  let text = '{"metadata":{}'
  if (outcome.message !== undefined) {
    text += ',"status":"Failure","message":' + clientText(outcome.message)
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
  }).replace(NOT_SHOWN, escapeUnits)
}

const PLAIN = /^[ !#-[\]-~]*$/

/** What JSON lets stand raw and a terminal or a pager obeys: C1 controls, line separators, text directions. */
const NOT_SHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

function quote(text: string): string {
  return PLAIN.test(text) ? '"' + text + '"' : JSON.stringify(text).replace(NOT_SHOWN, escapeUnits)
}

function clientText(text: string, limit = MAX_FIELD_CHARS): string {
  return quote(bounded(redactSecrets(text), limit))
}

function escapeUnits(character: string): string {
  let escaped = ''
  for (let i = 0; i < character.length; i++) {
    escaped += '\\u' + character.charCodeAt(i).toString(16).padStart(4, '0')
  }
  return escaped
}

function bounded(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length} characters)`
}

/** `metav1.MicroTime`: RFC 3339 with six digits of a second. */
function microTime(ms: number): string {
  const text = new Date(ms).toISOString()
  return text.slice(0, -1) + '000Z'
}
