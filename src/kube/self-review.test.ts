import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSelfReview } from './self-review.ts'
import { StatusError } from './status.ts'

const PROTOBUF = 'application/vnd.kubernetes.protobuf'

/** A length-delimited field. */
function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}

function protobuf(kind: string, spec: Buffer): Buffer {
  const type = field(1, Buffer.concat([field(1, 'authorization.k8s.io/v1'), field(2, kind)]))
  const raw = field(2, Buffer.concat([field(1, ''), field(2, spec)]))
  return Buffer.concat([Buffer.from('k8s\0'), type, raw, field(3, ''), field(4, '')])
}

describe('a self review', () => {
  it('is read from protobuf as from JSON', () => {
    const attributes = ['default', 'get', 'apps', 'v1', 'deployments', 'scale', 'web'].map((text, i) =>
      field(i + 1, text),
    )
    const review = parseSelfReview(protobuf('SelfSubjectAccessReview', field(1, Buffer.concat(attributes))), PROTOBUF)
    const json = JSON.stringify({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: {
        resourceAttributes: {
          namespace: 'default',
          verb: 'get',
          group: 'apps',
          version: 'v1',
          resource: 'deployments',
          subresource: 'scale',
          name: 'web',
        },
      },
    })
    expect(review).toEqual(parseSelfReview(Buffer.from(json), 'application/json; charset=utf-8'))
  })

  it.each([
    [
      'a path',
      'SelfSubjectAccessReview',
      field(2, Buffer.concat([field(1, '/metrics'), field(2, 'get')])),
      { nonResourceAttributes: { path: '/metrics', verb: 'get' } },
    ],
    ['a namespace', 'SelfSubjectRulesReview', field(1, 'default'), { namespace: 'default' }],
    ['nobody but the caller', 'SelfSubjectReview', Buffer.alloc(0), {}],
  ])('may be about %s', (_, kind, spec, expected) => {
    expect(parseSelfReview(protobuf(kind, spec), PROTOBUF).spec).toEqual(expected)
  })

  it('keeps what JSON holds beyond what is known', () => {
    const review = parseSelfReview(Buffer.from('{"spec":{"later":1},"metadata":{"name":"x"}}'), undefined)
    expect(review).toEqual({ spec: { later: 1 }, metadata: { name: 'x' } })
  })

  it.each([
    ['other types', '{}', 'application/yaml', 415],
    ['text that is no JSON', '{', 'application/json', 400],
    ['a list', '[]', 'application/json', 400],
    ['a spec that is a list', '{"spec":[]}', 'application/json', 400],
    ['JSON called protobuf', '{}', PROTOBUF, 400],
    ['a field that is longer than the body', 'k8s\0\x12\x7f', PROTOBUF, 400],
    ['a length beyond 31 bits', 'k8s\0\x12\xff\xff\xff\xff\xff\x01', PROTOBUF, 400],
  ])('refuses %s', (_, body, contentType, code) => {
    expect(() => parseSelfReview(Buffer.from(body, 'latin1'), contentType)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code }) as unknown }) as Error,
    )
  })

  it('throws nothing but a StatusError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseSelfReview(Buffer.concat([Buffer.from('k8s\0'), bytes]), PROTOBUF)
        } catch (error) {
          expect(error).toBeInstanceOf(StatusError)
        }
      }),
    )
  })
})
