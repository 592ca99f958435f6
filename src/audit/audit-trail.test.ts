import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestInfo } from '../kube/request-info.ts'
import type { AuditSink } from './audit-sink.ts'
import { AuditTrail, type CompletedRequest } from './audit-trail.ts'
import { MAX_FIELD_CHARS } from './event.ts'
import { createStreamSink } from './stream-sink.ts'

const LIST_PODS: RequestInfo = {
  isResourceRequest: true,
  path: '/api/v1/namespaces/default/pods/web/log',
  verb: 'get',
  apiPrefix: 'api',
  apiGroup: '',
  apiVersion: 'v1',
  namespace: 'default',
  resource: 'pods',
  subresource: 'log',
  name: 'web',
  parts: ['pods', 'web', 'log'],
  fieldSelector: '',
  labelSelector: '',
}

const ARRIVAL = {
  auditId: '6c1b2b0e-0000-4000-8000-000000000000',
  requestURI: '/api/v1/namespaces/default/pods/web/log?follow=true',
  sourceIPs: ['192.0.2.7', '10.0.0.1'],
  userAgent: 'kubectl/v1.36.0',
  receivedAtMs: Date.parse('2026-01-02T03:04:05.678Z'),
}

const ANA = { username: 'ana@example.com', uid: '', groups: ['payments-dev'], extra: {} }

function collect(requestReceived = false) {
  const lines: string[] = []
  const completed: CompletedRequest[] = []
  const sink: AuditSink = { writable: true, write: (line) => lines.push(line), close: () => Promise.resolve() }
  const trail = new AuditTrail({
    sink,
    requestReceived,
    onComplete: (request) => completed.push(request),
    now: () => Date.parse('2026-01-02T03:04:06.000Z'),
  })
  return { trail, completed, events: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>), lines }
}

describe('the audit trail', () => {
  it('writes one event for each stage, with the fields that audit.k8s.io/v1 names', () => {
    const { trail, events, completed } = collect(true)
    const entry = trail.begin(ARRIVAL)
    entry.routed('production')
    entry.parsed(LIST_PODS, ARRIVAL.requestURI)
    entry.identified(ANA)
    entry.decided({ effect: 'allow', rule: 'developers#2', policyRevision: 'sha256:ab', reason: 'allowed' })
    entry.started(200)
    entry.complete({ code: 200 })
    expect(events().map((event) => event['stage'])).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete'])
    expect(events()[2]).toEqual({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: ARRIVAL.auditId,
      stage: 'ResponseComplete',
      requestURI: ARRIVAL.requestURI,
      verb: 'get',
      user: { username: 'ana@example.com', groups: ['payments-dev'] },
      sourceIPs: ['192.0.2.7', '10.0.0.1'],
      userAgent: 'kubectl/v1.36.0',
      objectRef: { resource: 'pods', namespace: 'default', name: 'web', apiVersion: 'v1', subresource: 'log' },
      responseStatus: { metadata: {}, code: 200 },
      requestReceivedTimestamp: '2026-01-02T03:04:05.678000Z',
      stageTimestamp: '2026-01-02T03:04:06.000000Z',
      annotations: {
        'postern.dev/socket': 'production',
        'authorization.k8s.io/decision': 'allow',
        'authorization.k8s.io/reason': 'allowed',
        'postern.dev/decision': 'allow',
        'postern.dev/policy-revision': 'sha256:ab',
        'postern.dev/rule': 'developers#2',
      },
    })
    expect(completed).toEqual([
      { socket: 'production', verb: 'get', code: 200, decision: 'allow', durationMs: 322, longRunning: true },
    ])
  })

  it('tells the end once, whoever tells it first', () => {
    const { trail, events, completed } = collect()
    const entry = trail.begin(ARRIVAL)
    entry.complete({ code: 403, reason: 'Forbidden', message: 'no' })
    entry.complete({ code: 200 })
    entry.started(200)
    expect(events()).toHaveLength(1)
    expect(completed).toHaveLength(1)
    expect(events()[0]).toMatchObject({ responseStatus: { code: 403, reason: 'Forbidden', message: 'no' }, user: {} })
  })

  it('is one line of JSON whatever bytes a client sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (requestURI, userAgent) => {
        const { trail, lines } = collect()
        const entry = trail.begin({ ...ARRIVAL, requestURI, userAgent })
        entry.complete({ code: 400, message: requestURI })
        expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1)
        const event = JSON.parse(lines[0] ?? '') as Record<string, unknown>
        expect(event['requestURI']).toBe(requestURI)
      }),
    )
  })

  it('cuts what is too long, and says so', () => {
    const { trail, events } = collect()
    trail.begin({ ...ARRIVAL, requestURI: `/${'x'.repeat(MAX_FIELD_CHARS)}` }).complete({ code: 400 })
    expect(String(events()[0]?.['requestURI'])).toMatch(/x… \(16385 characters\)$/)
  })
})

describe('a stream sink', () => {
  it('is not writable once the stream has ended', async () => {
    const stream = new PassThrough()
    const sink = createStreamSink(stream)
    sink.write('{}\n')
    expect(sink.writable).toBe(true)
    await sink.close()
    stream.end()
    expect(sink.writable).toBe(false)
  })
})
