import { expect, test } from 'vitest'
import { isLongRunning } from './long-running.ts'
import { parseRequest } from './parsed-request.ts'

test.each([
  ['/api/v1/pods', false],
  ['/api/v1/pods?watch=1', true],
  ['/api/v1/watch/pods', true],
  ['/api/v1/namespaces/a/pods/b', false],
  ['/api/v1/namespaces/a/pods/b/status', false],
  ['/api/v1/namespaces/a/pods/b/log', true],
  ['/api/v1/namespaces/a/pods/b/exec', true],
  ['/api/v1/namespaces/a/pods/b/attach', true],
  ['/api/v1/namespaces/a/pods/b/portforward', true],
  ['/api/v1/namespaces/a/services/b/proxy/x', true],
  ['/debug/pprof/profile', true],
  ['/debug/pprof', false],
  ['/watch', false],
])('GET %s is long-running: %s', (target, is) => {
  expect(isLongRunning(parseRequest('GET', target).requestInfo)).toBe(is)
})
