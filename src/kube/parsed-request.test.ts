import { describe, expect, test } from 'vitest'
import { parseRequest } from './parsed-request.ts'
import { MAX_TARGET_BYTES } from './target.ts'

describe('the target that is sent', () => {
  test.each([
    ['a list of kubectl', '/api/v1/namespaces/default/pods?limit=500'],
    ['a selector of kubectl', '/api/v1/pods?labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29&limit=500'],
    [
      'an exec of kubectl',
      '/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=echo+%22hi%22%0A&container=c&tty=true',
    ],
    ['a path that is no resource', '/version/'],
    ['a name with a colon', '/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node'],
    ['the root of a proxied service', '/api/v1/namespaces/a/services/http:web:80/proxy/'],
    ['a proxied service without a slash', '/api/v1/namespaces/a/services/web/proxy'],
    ['what lies behind proxy', '/api/v1/namespaces/a/services/web/proxy/a+b/%7B1%7d,%3a/x/?q=a%20b&&c&=&e=f=g'],
    ['a bare query behind proxy', '/api/v1/nodes/n1/proxy?verbose'],
  ])('is what came, for %s', (_name, target) => {
    expect(parseRequest('GET', target).target).toBe(target)
  })

  test.each([
    ['/api/v1/nodes/', '/api/v1/nodes'],
    ['/api/v1/nodes?', '/api/v1/nodes'],
    ['/api/v1/nodes?pretty', '/api/v1/nodes?pretty='],
    ['/api/v1/nodes/a%3ab', '/api/v1/nodes/a:b'],
    ['/api/v1/namespaces/a%40b/services/c%3a80/proxy/d%3a/', '/api/v1/namespaces/a@b/services/c:80/proxy/d%3a/'],
    ['/apis/apps/v1/namespaces/a/proxy/proxy/', '/apis/apps/v1/namespaces/a/proxy/proxy'],
  ])('is one spelling of %s', (target, canonical) => {
    expect(parseRequest('GET', target).target).toBe(canonical)
    expect(parseRequest('GET', canonical).target).toBe(canonical)
  })

  test('is bounded in the spelling that is sent', () => {
    expect(() => parseRequest('GET', `/?a=${'='.repeat(MAX_TARGET_BYTES / 2)}`)).toThrow('too long')
  })

  test.each(['../../secrets', '..%2f..', 'a/%2e%2e/b', 'a//b', 'a%5c..', 'a;b', '%00'])(
    'cannot leave what lies behind proxy by %s',
    (path) => {
      expect(() => parseRequest('GET', `/api/v1/namespaces/a/services/web/proxy/${path}`)).toThrow()
    },
  )
})

test('nobody can alter a request once it is parsed', () => {
  const request = parseRequest('GET', '/api/v1/pods?limit=1')
  expect(Object.isFrozen(request)).toBe(true)
  expect(Object.isFrozen(request.requestInfo)).toBe(true)
  expect(Object.isFrozen(request.requestInfo.parts)).toBe(true)
  expect(Object.isFrozen(request.query)).toBe(true)
})
