import { expect, test } from 'vitest'
import { responseHeaders } from './response-headers.ts'

test('what an API server says of its answer goes back in order, and then our own', () => {
  const received = [
    ...[
      'Audit-Id',
      'theirs',
      'Cache-Control',
      'no-cache, private',
      'Content-Type',
      'application/json',
      'Warning',
      '299 - "a"',
    ],
    ...[
      'X-Kubernetes-Pf-Flowschema-Uid',
      'f',
      'Warning',
      '299 - "b"',
      'Content-Length',
      '5',
      'Vary',
      'Accept',
      'ETag',
      '"e"',
    ],
  ]
  expect(responseHeaders(received, ['Audit-ID', 'ours'])).toStrictEqual([...received.slice(2), 'Audit-ID', 'ours'])
})

test.each([
  ...[
    'Connection',
    'keep-alive',
    'Proxy-Connection',
    'proxy-authenticate',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
  ],
  ...[
    'Set-Cookie',
    'set-cookie2',
    'Alt-Svc',
    'Strict-Transport-Security',
    'Server',
    'Clear-Site-Data',
    'Service-Worker-Allowed',
  ],
  ...['Sec-WebSocket-Extensions', 'Public-Key-Pins', 'NEL', 'Report-To', 'Reporting-Endpoints'],
])('%s stays behind', (name) => {
  expect(responseHeaders(['Date', 'd', name, 'x', 'Etag', 'e'], [])).toStrictEqual(['Date', 'd', 'Etag', 'e'])
})

test('what Connection names stays behind', () => {
  expect(responseHeaders(['connection', 'close, X-Hop', 'x-hop', 'a', 'X-Kept', 'b'], [])).toStrictEqual([
    'X-Kept',
    'b',
  ])
})
