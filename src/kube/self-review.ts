import { ProtobufFields } from './protobuf-fields.ts'
import { badRequest, StatusError, failure } from './status.ts'

/** A self review as JSON has it. `spec` is what was sent. */
export interface SelfReview {
  readonly apiVersion?: unknown
  readonly kind?: unknown
  readonly spec: Readonly<Record<string, unknown>>
}

const JSON_TYPE = 'application/json'
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'
/** `k8s` and a zero byte. */
const PROTOBUF_MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00])

/**
 * Reads the body of a SelfSubjectAccessReview, SelfSubjectRulesReview or SelfSubjectReview, in JSON or in
 * protobuf as the content type says; without one it is JSON.
 *
 * @throws StatusError 400 for a body that is no such object, 415 for any other content type.
 * @see k8s.io/apimachinery `pkg/runtime/serializer/protobuf/protobuf.go`; k8s.io/api
 * `authorization/v1/generated.proto` and `authentication/v1/generated.proto` (v0.36)
 */
export function parseSelfReview(body: Buffer, contentType: string | undefined): SelfReview {
  switch (mediaTypeOf(contentType ?? JSON_TYPE)) {
    case JSON_TYPE:
      return fromJSON(body)
    case PROTOBUF_TYPE:
      return fromProtobuf(body)
    default:
      throw new StatusError(
        failure(415, 'UnsupportedMediaType', `a self review is read as ${JSON_TYPE} or ${PROTOBUF_TYPE}`),
      )
  }
}

function mediaTypeOf(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}

function fromJSON(body: Buffer): SelfReview {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw badRequest('the body is not JSON', { cause: error })
  }
  const review = asObject(value)
  return { ...review, spec: asObject(review['spec'] ?? {}) }
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the body is not a review')
  return value as Record<string, unknown>
}

function fromProtobuf(body: Buffer): SelfReview {
  if (!body.subarray(0, PROTOBUF_MAGIC.length).equals(PROTOBUF_MAGIC)) {
    throw badRequest('the body does not begin as protobuf of Kubernetes does')
  }
  const unknown = new ProtobufFields(body.subarray(PROTOBUF_MAGIC.length))
  const type = unknown.message(1)
  const kind = type.text(2)
  const review = unknown.message(2)
  return { apiVersion: type.text(1), kind, spec: specOf(kind, review) }
}

function specOf(kind: string, review: ProtobufFields): Readonly<Record<string, unknown>> {
  const spec = kind === 'SelfSubjectReview' ? null : review.message(2)
  if (spec === null) return {}
  if (kind === 'SelfSubjectRulesReview') return { namespace: spec.text(1) }
  return {
    ...(spec.has(1) && { resourceAttributes: resourceAttributes(spec.message(1)) }),
    ...(spec.has(2) && {
      nonResourceAttributes: { path: spec.message(2).text(1), verb: spec.message(2).text(2) },
    }),
  }
}

function resourceAttributes(attributes: ProtobufFields): Readonly<Record<string, string>> {
  const names = ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name']
  const given: Record<string, string> = {}
  for (const [index, name] of names.entries()) {
    const text = attributes.text(index + 1)
    if (text !== '') given[name] = text
  }
  return given
}
