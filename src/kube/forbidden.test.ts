import { describe, expect, test } from 'vitest'
import { forbidden } from './forbidden.ts'
import { parseRequest } from './parsed-request.ts'
import { MAX_MESSAGE_BYTES } from './status.ts'

function refusal(method: string, target: string, username = 'ana', reason = '') {
  return forbidden(parseRequest(method, target).requestInfo, username, reason).status
}

describe("a denial is Kubernetes' own sentence", () => {
  test.each([
    [
      'GET',
      '/api/v1/namespaces/prod/pods/web',
      'pods "web" is forbidden: User "ana" cannot get resource "pods" in API group "" in the namespace "prod"',
      { name: 'web', kind: 'pods' },
    ],
    [
      'GET',
      '/apis/apps/v1/deployments',
      'deployments.apps is forbidden: User "ana" cannot list resource "deployments" in API group "apps" at the cluster scope',
      { group: 'apps', kind: 'deployments' },
    ],
    [
      'POST',
      '/api/v1/namespaces/prod/pods/web/exec?command=id',
      'pods "web" is forbidden: User "ana" cannot create resource "pods/exec" in API group "" in the namespace "prod"',
      { name: 'web', kind: 'pods' },
    ],
    [
      'DELETE',
      '/api/v1/namespaces/prod/pods',
      'pods is forbidden: User "ana" cannot deletecollection resource "pods" in API group "" in the namespace "prod"',
      { kind: 'pods' },
    ],
    ['GET', '/metrics', 'forbidden: User "ana" cannot get path "/metrics"', {}],
  ])('%s %s', (method, target, message, details) => {
    expect(refusal(method, target)).toMatchObject({ code: 403, reason: 'Forbidden', message, details })
    expect(refusal(method, target, 'ana', 'no rule').message).toBe(`${message}: no rule`)
  })
})

test('what a person chose is quoted and HTML-escaped, and the reason stands as it is', () => {
  const { message, details } = refusal('GET', '/api/v1/namespaces/a/pods/%3Cb%3E&%22', '<i>\u202e"', 'rule "a<b"')
  expect(message).toBe(
    'pods "&lt;b&gt;&amp;\\"" is forbidden: User "&lt;i&gt;\\u202e\\"" cannot get resource "pods" in API group "" ' +
      'in the namespace "a": rule "a<b"',
  )
  expect(details).toStrictEqual({ name: '<b>&"', kind: 'pods' })
})

test('a long path leaves room for the reason', () => {
  const { message } = refusal('GET', `/${'x'.repeat(10_000)}`, 'y'.repeat(10_000), 'audit id 123')
  expect(Buffer.byteLength(message)).toBeLessThan(MAX_MESSAGE_BYTES)
  expect(message).toMatch(/: audit id 123$/)
})
