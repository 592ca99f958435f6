import { describe, expect, test } from 'vitest'
import { parseRequest } from './parsed-request.ts'
import { requestInfoToAuthorize, sessionKind } from './session-kind.ts'

describe.each(['exec', 'attach', 'portforward'] as const)('%s', (kind) => {
  const target = `/api/v1/namespaces/a/pods/b/${kind}`

  test.each(['GET', 'POST', 'HEAD', 'PUT', 'PATCH', 'DELETE'])('is one action, create, by %s too', (method) => {
    const { requestInfo } = parseRequest(method, target)
    expect(sessionKind(requestInfo)).toBe(kind)
    expect(requestInfoToAuthorize(requestInfo)).toStrictEqual({ ...requestInfo, verb: 'create' })
  })

  test('is one action by the watch prefix too', () => {
    const { requestInfo } = parseRequest('GET', `/api/v1/watch/namespaces/a/pods/b/${kind}`)
    expect(requestInfoToAuthorize(requestInfo).verb).toBe('create')
  })

  test('keeps the empty verb, which nothing allows', () => {
    expect(requestInfoToAuthorize(parseRequest('OPTIONS', target).requestInfo).verb).toBe('')
  })
})

test.each([
  '/api/v1/namespaces/a/pods/b',
  '/api/v1/namespaces/a/pods/b/log',
  '/api/v1/namespaces/a/pods/b/proxy/exec',
  '/api/v1/namespaces/a/pods/exec',
  '/api/v1/namespaces/a/services/b/exec',
  '/apis/example.com/v1/namespaces/a/pods/b/exec',
  '/api/v1/nodes/n1/proxy/exec/a/b/c',
  '/version',
])('GET %s is no session and is authorized as it stands', (target) => {
  const { requestInfo } = parseRequest('GET', target)
  expect(sessionKind(requestInfo)).toBeUndefined()
  expect(requestInfoToAuthorize(requestInfo)).toBe(requestInfo)
})
