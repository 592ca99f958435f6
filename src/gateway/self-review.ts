import type { Readable } from 'node:stream'
import { headerValues } from '../kube/raw-headers.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { type SelfReview, parseSelfReview } from '../kube/self-review.ts'
import { StatusError, badRequest, failure, tooLarge } from '../kube/status.ts'
import { describeRequest } from '../policy/describe-request.ts'
import { type Explained, explainRequest } from '../policy/explain.ts'
import { isNamespaced } from '../policy/kubernetes-resources.ts'
import type { PolicyAuthorizer } from '../policy/policy-authorizer.ts'
import { ALL } from '../policy/request-terms.ts'
import { describeDenial } from './denial.ts'
import type { Reply } from './reply.ts'
import type { Authorized } from './stages.ts'

/** Largest body of a review that is read, in bytes. */
const MAX_REVIEW_BYTES = 64 * 1024

/**
 * Whether a request asks what the person may do, or who they are. Forwarded, it would be answered for the
 * connector's own identity, so the gateway answers it.
 */
export function isSelfReview(authorized: Authorized): boolean {
  return kindOfReview(authorized.authenticated.request.requestInfo) !== null
}

interface ReviewKind {
  readonly kind: 'SelfSubjectAccessReview' | 'SelfSubjectRulesReview' | 'SelfSubjectReview'
  readonly apiGroup: string
  /** That any Kubernetes of the last years has served. */
  readonly versions: readonly string[]
}

const AUTHORIZATION = { apiGroup: 'authorization.k8s.io', versions: ['v1', 'v1beta1'] }
const KINDS: ReadonlyMap<string, ReviewKind> = new Map([
  ['selfsubjectaccessreviews', { kind: 'SelfSubjectAccessReview', ...AUTHORIZATION }],
  ['selfsubjectrulesreviews', { kind: 'SelfSubjectRulesReview', ...AUTHORIZATION }],
  [
    'selfsubjectreviews',
    { kind: 'SelfSubjectReview', apiGroup: 'authentication.k8s.io', versions: ['v1', 'v1beta1', 'v1alpha1'] },
  ],
])

function kindOfReview(info: RequestInfo): ReviewKind | null {
  if (!info.isResourceRequest || info.verb !== 'create' || info.subresource !== '') return null
  const kind = KINDS.get(info.resource)
  return kind?.apiGroup === info.apiGroup ? kind : null
}

/**
 * Answers a self review from the policy: the object that was sent, with its `status`.
 *
 * @throws StatusError 400, 404 for a version that Kubernetes has not, 413, 415 or 422.
 * @see k8s.io/kubernetes `pkg/registry/authorization/selfsubjectaccessreview/rest.go` (v0.36)
 */
export async function answerSelfReview(
  authorized: Authorized,
  body: Readable,
  reply: Reply,
  authorizer: PolicyAuthorizer,
): Promise<void> {
  const { headers, audit, request } = authorized.authenticated
  const asked = kindOfReview(request.requestInfo)
  if (asked?.versions.includes(request.requestInfo.apiVersion) !== true) throw notServed()
  reply.continue()
  const review = parseSelfReview(await readBody(body), headerValues(headers, 'content-type')[0])
  requireKind(review, asked, request.requestInfo.apiVersion)
  const status = statusOf(authorized, asked, review, authorizer)
  const answer = Buffer.from(JSON.stringify({ ...review, status }) + '\n')
  reply.head(201, [
    'Audit-Id',
    audit.auditId,
    'Cache-Control',
    'no-cache, private',
    'Content-Type',
    'application/json',
    'Content-Length',
    String(answer.length),
  ])
  reply.write(answer)
  reply.end()
  audit.complete({ code: 201 })
}

function notServed(): StatusError {
  return new StatusError(failure(404, 'NotFound', 'the server could not find the requested resource'))
}

/** A review of another kind would ask about somebody else. What a body leaves out is what its path says. */
function requireKind({ kind, apiVersion }: SelfReview, asked: ReviewKind, version: string): void {
  const given = (value: unknown, wanted: string): boolean => value === undefined || value === '' || value === wanted
  if (given(kind, asked.kind) && given(apiVersion, `${asked.apiGroup}/${version}`)) return
  throw badRequest(`the body is no ${asked.kind} of ${asked.apiGroup}/${version}`)
}

function statusOf(
  authorized: Authorized,
  { kind }: ReviewKind,
  { spec }: SelfReview,
  authorizer: PolicyAuthorizer,
): unknown {
  const { subject, socket } = authorized.authenticated
  switch (kind) {
    case 'SelfSubjectAccessReview':
      return accessStatus(authorized, spec, authorizer)
    case 'SelfSubjectRulesReview': {
      const { incomplete, evaluationError, ...rules } = authorizer.rulesFor(
        subject,
        socket.name,
        text(spec, 'namespace'),
      )
      return { ...rules, incomplete, ...(evaluationError === '' ? {} : { evaluationError }) }
    }
    case 'SelfSubjectReview':
      return { userInfo: subject }
  }
}

function accessStatus(authorized: Authorized, spec: SelfReview['spec'], authorizer: PolicyAuthorizer): unknown {
  const { subject, socket, sourceIP, receivedAtMs } = authorized.authenticated
  const caller = { subject, socket: socket.name, sourceIP, atMs: receivedAtMs, forwardAs: socket.forwardAs }
  const asked = reviewedRequest(spec)
  const explain = (requestInfo: RequestInfo): Explained =>
    explainRequest(authorizer, caller, { requestInfo, headers: [], assumed: null })
  const [reading, ...readings] = readingsOf(asked)
  const first = explain(reading)
  const denied = [first, ...readings.map(explain)].find(({ decision }) => decision.effect !== 'allow')
  if (denied === undefined) return { allowed: true, reason: first.decision.reason }
  const { decision, lacking } = denied
  const about = { ...requestInfoToAuthorize(asked), ...(lacking !== null && withoutAll(lacking.requestInfo)) }
  const reason = describeDenial(about, decision)
  return {
    allowed: false,
    ...(decision.effect === 'deny' ? { denied: true } : {}),
    reason: lacking === null ? reason : `it needs ${describeRequest(about)} too: ${reason}`,
  }
}

const OF_COLLECTIONS: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection'])

/**
 * The requests that a review can stand for; what it asks is allowed when all of them are. In a review an empty name or
 * namespace means all of them, while in a request it means none, save for those of a whole collection.
 *
 * @see k8s.io/api `authorization/v1/types.go`, ResourceAttributes (v0.36)
 */
function readingsOf(asked: RequestInfo): readonly [RequestInfo, ...RequestInfo[]] {
  if (!asked.isResourceRequest || OF_COLLECTIONS.has(asked.verb)) return [asked]
  const nameless = asked.verb === 'create' && asked.subresource === ''
  const named = asked.name === '' && !nameless ? { ...asked, name: ALL } : asked
  if (asked.namespace !== '') return [named]
  const everywhere = { ...named, namespace: ALL }
  const namespaced = isNamespaced(asked.apiGroup, asked.resource)
  if (namespaced === undefined) return [everywhere, named]
  return namespaced ? [everywhere] : [named]
}

function withoutAll(info: RequestInfo): RequestInfo {
  const { namespace, name } = info
  return { ...info, namespace: namespace === ALL ? '' : namespace, name: name === ALL ? '' : name }
}

function reviewedRequest(spec: SelfReview['spec']): RequestInfo {
  const resource = spec['resourceAttributes'] ?? undefined
  const nonResource = spec['nonResourceAttributes'] ?? undefined
  if ((resource === undefined) === (nonResource === undefined)) {
    const message = 'exactly one of spec.resourceAttributes and spec.nonResourceAttributes has to be given'
    throw new StatusError(failure(422, 'Invalid', message))
  }
  const attributes = object(resource ?? nonResource)
  const name = text(attributes, 'name')
  const base = { apiPrefix: '', parts: [], fieldSelector: '', labelSelector: '' }
  if (resource === undefined) {
    const none = { apiGroup: '', apiVersion: '', namespace: '', resource: '', subresource: '', name: '' }
    return {
      ...base,
      ...none,
      isResourceRequest: false,
      path: text(attributes, 'path'),
      verb: text(attributes, 'verb'),
    }
  }
  return {
    ...base,
    isResourceRequest: true,
    path: '',
    verb: text(attributes, 'verb'),
    apiGroup: text(attributes, 'group'),
    apiVersion: text(attributes, 'version'),
    namespace: text(attributes, 'namespace'),
    resource: text(attributes, 'resource'),
    subresource: text(attributes, 'subresource'),
    name,
  }
}

async function readBody(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // To destroy the body would end the connection that the refusal has to go out on.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_REVIEW_BYTES) throw tooLarge(`a self review has at most ${MAX_REVIEW_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the spec is not a review')
  return value as Readonly<Record<string, unknown>>
}

function text(from: SelfReview['spec'], key: string): string {
  const value = Object.hasOwn(from, key) ? from[key] : undefined
  if (value === undefined) return ''
  if (typeof value !== 'string') throw badRequest(`${key} is not a string`)
  return value
}
