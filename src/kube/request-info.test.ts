import { describe, expect, test } from 'vitest'
import { type RequestInfo, resolveRequestInfo } from './request-info.ts'
import { StatusError } from './status.ts'
import { parseTarget } from './target.ts'

function resolve(method: string, target: string): RequestInfo {
  return resolveRequestInfo(method, parseTarget(target))
}

function refusal(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('a method', () => {
  test.each([
    ['GET', 'get', 'list', 'get'],
    ['HEAD', 'get', 'list', 'head'],
    ['POST', 'create', 'create', 'post'],
    ['PUT', 'update', 'update', 'put'],
    ['PATCH', 'patch', 'patch', 'patch'],
    ['DELETE', 'delete', 'deletecollection', 'delete'],
    ['OPTIONS', '', '', 'options'],
  ])(
    '%s gives the verb %j for an object, %j for a collection and %j for any other path',
    (method, object, collection, other) => {
      expect(resolve(method, '/api/v1/nodes/n1').verb).toBe(object)
      expect(resolve(method, '/api/v1/nodes').verb).toBe(collection)
      expect(resolve(method, '/api/v1').verb).toBe(other)
    },
  )

  test.each(['TRACE', 'CONNECT', 'QUERY', 'get', 'Get', 'GET ', 'PROPFIND', 'apply', '', '__proto__', 'constructor'])(
    '%j is not allowed',
    (method) => {
      expect(() => resolve(method, '/api/v1/pods')).toThrow(StatusError)
      expect(() => resolve(method, '/version')).toThrow('is not allowed')
    },
  )
})

describe('a prefix verb', () => {
  test.each([
    ['GET', '/api/v1/proxy/nodes/n1', 400],
    ['GET', '/api/v1/proxy', 400],
    ['POST', '/apis/apps/v1/proxy/x', 400],
    ['GET', '/api/v1/watch', 400],
    ['GET', '/api/v1/watch/watch/pods', 400],
    ['GET', '/api/v1/watch/proxy/pods', 400],
    ['HEAD', '/api/v1/watch/pods', 405],
    ['DELETE', '/api/v1/watch/pods', 405],
    ['OPTIONS', '/apis/apps/v1/watch/deployments', 405],
  ])('%s %s is refused', (method, target, code) => {
    expect(refusal(() => resolve(method, target))).toMatchObject({ status: { code } })
  })

  test('is an ordinary word anywhere else', () => {
    expect(resolve('DELETE', '/api/v1/namespaces/watch/pods/proxy')).toMatchObject({
      verb: 'delete',
      namespace: 'watch',
      resource: 'pods',
      name: 'proxy',
    })
  })
})

describe('a watch parameter', () => {
  test.each([
    ['', 'list'],
    ['?watch', 'watch'],
    ['?watch=', 'watch'],
    ['?watch=0', 'list'],
    ['?watch=00', 'watch'],
    ['?watch=fAlSe', 'list'],
    ['?watch=false%20', 'watch'],
    ['?watch=no', 'watch'],
    ['?Watch=true', 'list'],
    ['?watch=1&limit=x', 'watch'],
    ['?watch=1&labelSelector=(((', 'watch'],
    ['?watch=1&fieldSelector=x', 'watch'],
  ])('%s makes a %s', (query, verb) => {
    expect(resolve('GET', `/api/v1/pods${query}`).verb).toBe(verb)
  })

  test('that folds to false in one of two readings is refused', () => {
    expect(() => resolve('GET', '/api/v1/pods?watch=fal%C5%BFe')).toThrow('the parameter watch')
  })

  test('means nothing beside a name, nor with another method', () => {
    expect(resolve('GET', '/api/v1/nodes/n1?watch=1').verb).toBe('get')
    expect(resolve('POST', '/api/v1/nodes?watch=1').verb).toBe('create')
  })
})

describe('a name from the field selector', () => {
  test.each([
    ['fieldSelector=metadata.name%3Da', 'a'],
    ['fieldSelector=metadata.name%3Da&limit=5&timeoutSeconds=9&labelSelector=x', 'a'],
    ['fieldSelector=metadata.name%3Da&limit=x', ''],
    ['fieldSelector=metadata.name%3Da&limit=', ''],
    ['fieldSelector=metadata.name%3Da&timeoutSeconds=x', ''],
    ['fieldSelector=metadata.name%3Da&labelSelector=a+b+c', ''],
    ['fieldSelector=metadata.name%3D..', ''],
    ['fieldSelector=metadata.name%3Da%2Fb', ''],
    ['fieldSelector=metadata.name%3Da%25b', ''],
  ])('%s: %j', (query, name) => {
    expect(resolve('GET', `/api/v1/pods?${query}`).name).toBe(name)
  })

  test('is never given to a delete', () => {
    expect(resolve('DELETE', '/api/v1/pods?fieldSelector=metadata.name%3Da')).toMatchObject({
      verb: 'deletecollection',
      name: '',
      fieldSelector: 'metadata.name=a',
    })
  })
})
