import type { Readable } from 'node:stream'
import { headerValues } from '../kube/raw-headers.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { type SelfReview, parseSelfReview } from '../kube/self-review.ts'
import { StatusError, badRequest, failure, tooLarge } from '../kube/status.ts'
import type { PolicyAuthorizer } from '../policy/policy-authorizer.ts'
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

function kindOfReview(info: RequestInfo): 'access' | 'rules' | 'subject' | null {
  const { apiGroup, resource, subresource, verb } = info
  if (!info.isResourceRequest || verb !== 'create' || subresource !== '') return null
  if (apiGroup === 'authorization.k8s.io' && resource === 'selfsubjectaccessreviews') return 'access'
  if (apiGroup === 'authorization.k8s.io' && resource === 'selfsubjectrulesreviews') return 'rules'
  if (apiGroup === 'authentication.k8s.io' && resource === 'selfsubjectreviews') return 'subject'
  return null
}

/**
 * Answers a self review from the policy: the object that was sent, with its `status`.
 *
 * @throws StatusError 400, 413, 415 or 422.
 * @see k8s.io/kubernetes `pkg/registry/authorization/selfsubjectaccessreview/rest.go` (v0.36)
 */
export async function answerSelfReview(
  authorized: Authorized,
  body: Readable,
  reply: Reply,
  authorizer: PolicyAuthorizer,
): Promise<void> {
  const { headers, audit } = authorized.authenticated
  reply.continue()
  const review = parseSelfReview(await readBody(body), headerValues(headers, 'content-type')[0])
  const answer = Buffer.from(JSON.stringify({ ...review, status: statusOf(authorized, review, authorizer) }) + '\n')
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

function statusOf(authorized: Authorized, { spec }: SelfReview, authorizer: PolicyAuthorizer): unknown {
  const { subject, socket, request } = authorized.authenticated
  switch (kindOfReview(request.requestInfo)) {
    case 'access':
      return accessStatus(authorized, spec, authorizer)
    case 'rules': {
      const { incomplete, evaluationError, ...rules } = authorizer.rulesFor(
        subject,
        socket.name,
        text(spec, 'namespace'),
      )
      return { ...rules, incomplete, ...(evaluationError === '' ? {} : { evaluationError }) }
    }
    case 'subject':
      return { userInfo: subject }
    case null:
      throw new TypeError('not a self review')
  }
}

function accessStatus(authorized: Authorized, spec: SelfReview['spec'], authorizer: PolicyAuthorizer): unknown {
  const { subject, socket, sourceIP, receivedAtMs } = authorized.authenticated
  const requestInfo = requestInfoToAuthorize(reviewedRequest(spec))
  const decision = authorizer.authorize({
    subject,
    requestInfo,
    socket: socket.name,
    sourceIP,
    atMs: receivedAtMs,
  })
  return {
    allowed: decision.effect === 'allow',
    ...(decision.effect === 'deny' ? { denied: true } : {}),
    reason: decision.effect === 'allow' ? decision.reason : describeDenial(requestInfo, decision),
  }
}

function reviewedRequest(spec: SelfReview['spec']): RequestInfo {
  const resource = spec['resourceAttributes']
  const nonResource = spec['nonResourceAttributes']
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
