import { expect, test } from 'vitest'
import { authorizerOf } from '../../test/support/policies.ts'
import { subject } from '../../test/support/policy-requests.ts'
import { MAX_LINE_LENGTH, createLineExplainer } from './request-lines.ts'

const authorizer = authorizerOf({
  p: 'subjects: { users: [ana] }, rules: [{ verbs: [get, list], resources: [pods] }, { verbs: [create], resources: [pods/exec] }]',
})
const answer = createLineExplainer(authorizer, {
  subject: subject('ana'),
  socket: 'production',
  sourceIP: '10.0.0.1',
  atMs: 0,
  forwardAs: 'connector',
})

interface Answer {
  readonly requestInfo?: { readonly verb: string; readonly resource: string }
  readonly decision?: { readonly effect: string; readonly rule: string }
  readonly additionalChecks?: readonly object[]
  readonly error?: { readonly kind: string; readonly code: number; readonly message: string }
}
const answered = (line: string): Answer => JSON.parse(answer(line)) as Answer

test('a line is answered in the shape of an explanation', () => {
  const { requestInfo, decision } = answered('{"method":"GET","target":"/api/v1/namespaces/a/pods"}')
  expect(requestInfo).toMatchObject({ verb: 'list', resource: 'pods', parts: ['pods'] })
  expect(decision).toEqual({
    effect: 'allow',
    rule: 'p#1',
    location: 'p.yaml:4',
    policyRevision: authorizer.revision,
    reason: 'rule p#1 allows it',
    nearest: [],
  })
})

test('a session is shown as it was asked and decided as what it is', () => {
  const { requestInfo, decision } = answered('{"method":"GET","target":"/api/v1/namespaces/a/pods/web/exec"}')
  expect([requestInfo?.verb, decision?.rule]).toEqual(['get', 'p#2'])
})

test('a line tells what is asked besides', () => {
  const { decision, additionalChecks } = answered('{"method":"PUT","target":"/api/v1/namespaces/a/services/web"}')
  expect(decision?.effect).toBe('no-opinion')
  expect(additionalChecks).toMatchObject([{ requestInfo: { verb: 'create' }, decision: { effect: 'no-opinion' } }])
})

test('what was denied comes with the nearest rules', () => {
  const { decision } = answered('{"method":"DELETE","target":"/api/v1/namespaces/a/pods/web"}')
  expect(decision).toMatchObject({ effect: 'no-opinion', nearest: [{ rule: 'p#1', missing: ['verb "delete"'] }, {}] })
})

test.each<[line: string, code: number]>([
  ['{"method":"GET","target":"/api//v1"}', 400],
  ['{"method":"TRACE","target":"/"}', 405],
  ['{"method":"GET"}', 400],
  ['{"method":1,"target":"/"}', 400],
  ['null', 400],
  ['', 400],
  ['nonsense', 400],
  [`{"method":"GET","target":"/${'x'.repeat(MAX_LINE_LENGTH)}"}`, 400],
])('%.40s is refused with a Status', (line, code) => {
  expect(answered(line).error).toMatchObject({ kind: 'Status', code })
})
