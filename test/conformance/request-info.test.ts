import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ParsedRequest, parseRequest } from '../../src/kube/parsed-request.ts'
import type { RequestInfo } from '../../src/kube/request-info.ts'
import { StatusError } from '../../src/kube/status.ts'
import { naiveRequestInfo } from './naive-request-info.ts'
import { methods, targets } from './request-targets.ts'

// Attacks A15, A17.

/** One row of the table: what kube-apiserver makes of a request line, and what Postern has to do with it. */
interface Vector {
  readonly method: string
  readonly url: string
  readonly expect: RequestInfo
  readonly source: string
  readonly note?: string
  readonly proxy: 'resolve' | 'canonicalize' | 'reject'
}

const vectors = JSON.parse(
  readFileSync(new URL('./requestinfo-vectors.json', import.meta.url), 'utf8'),
) as readonly Vector[]

/** Targets that are sent in another spelling, which decodes to the same. All others go out byte for byte. */
const sentAs: ReadonlyMap<string, string> = new Map([
  ['/api/v1/namespaces/', '/api/v1/namespaces'],
  ['/api/v1/namespaces/shop/', '/api/v1/namespaces/shop'],
  ['/api/v1/namespaces/shop/pods/', '/api/v1/namespaces/shop/pods'],
  ['/api/v1/namespaces/shop/pods/foo+bar', '/api/v1/namespaces/shop/pods/foo%2Bbar'],
  ['/api/v1/pods?%77atch=1', '/api/v1/pods?watch=1'],
  ['/api/v1/pods?watch', '/api/v1/pods?watch='],
  ['/readyz?verbose', '/readyz?verbose='],
  ['/api/v1/pods?fieldSelector=metadata.name!=foo', '/api/v1/pods?fieldSelector=metadata.name%21%3Dfoo'],
  ['/api/v1/pods?fieldSelector=metadata.name==foo', '/api/v1/pods?fieldSelector=metadata.name%3D%3Dfoo'],
  [
    '/api/v1/pods?fieldSelector=metadata.name=foo&labelSelector=a%20b%20c',
    '/api/v1/pods?fieldSelector=metadata.name%3Dfoo&labelSelector=a+b+c',
  ],
])

function sent(url: string): string {
  const known = sentAs.get(url)
  if (known !== undefined) return known
  const [path = '', query] = url.split('?')
  // What is left are raw `=` and `,` inside a value.
  return query === undefined
    ? path
    : `${path}?${query
        .split('&')
        .map((pair) => pair.replace(/(?<==.*)[=,]/g, (character) => encodeURIComponent(character)))
        .join('&')}`
}

describe.each(vectors)('$method $url', ({ method, url, expect: tuple, proxy }) => {
  if (proxy === 'reject') {
    test('is refused', () => {
      expect(() => parseRequest(method, url)).toThrow(StatusError)
      expect([400, 404, 405]).toContain(refusalOf(method, url)?.status.code)
    })
  } else {
    test('means what kube-apiserver says', () => {
      expect(parseRequest(method, url).requestInfo).toStrictEqual(tuple)
    })
    test('is sent in one spelling', () => {
      expect(parseRequest(method, url).target).toBe(sent(url))
    })
    test('agrees with the second resolver', () => {
      expect(naiveRequestInfo(method, url)).toStrictEqual(tuple)
    })
  }
})

test('the table has every kind of row', () => {
  expect(vectors).toHaveLength(188)
  expect(new Set(vectors.map((vector) => vector.proxy))).toStrictEqual(new Set(['resolve', 'canonicalize', 'reject']))
})

describe('a request with one reading', () => {
  test('means the same to two resolvers, as it came and as it is sent', () => {
    let accepted = 0
    fc.assert(
      fc.property(methods, targets, (method, target) => {
        const request = accept(method, target)
        if (request === undefined) return
        accepted++
        const { requestInfo } = request
        expect(requestInfo).toStrictEqual(naiveRequestInfo(method, target))
        expect(naiveRequestInfo(method, request.target)).toStrictEqual({ ...requestInfo, path: sentPath(requestInfo) })
      }),
      { numRuns: 5_000 },
    )
    expect(accepted).toBeGreaterThan(1_000)
  })

  test('is sent in a spelling that parses to itself', () => {
    fc.assert(
      fc.property(methods, targets, (method, target) => {
        const request = accept(method, target)
        if (request === undefined) return
        const again = parseRequest(method, request.target)
        expect(again.target).toBe(request.target)
        expect(again.requestInfo).toStrictEqual({ ...request.requestInfo, path: sentPath(request.requestInfo) })
        expect(again.query).toStrictEqual(request.query)
      }),
      { numRuns: 5_000 },
    )
  })
})

test('nothing but a StatusError comes of any text', () => {
  const texts = fc.oneof(
    targets,
    fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
    fc.string().map((text) => `/api/v1/${text}`),
  )
  fc.assert(
    fc.property(fc.oneof(methods, fc.string()), texts, (method, text) => {
      const refusal = refusalOf(method, text)
      if (refusal === undefined) return
      expect([400, 405]).toContain(refusal.status.code)
      expect(refusal.message).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]{1,1024}$/u)
    }),
    { numRuns: 1_000 },
  )
})

/** A resource loses its trailing slash on the way, but not what lies behind `proxy`. */
function sentPath(info: RequestInfo): string {
  return info.isResourceRequest && info.subresource !== 'proxy' ? info.path.replace(/\/$/, '') : info.path
}

function accept(method: string, target: string): ParsedRequest | undefined {
  try {
    return parseRequest(method, target)
  } catch (error) {
    if (error instanceof StatusError) return undefined
    throw error
  }
}

function refusalOf(method: string, target: string): StatusError | undefined {
  try {
    parseRequest(method, target)
    return undefined
  } catch (error) {
    if (error instanceof StatusError) return error
    throw error
  }
}
