import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../support/cpu-stopwatch.ts'
import {
  attackedGateway,
  BAD_REQUEST,
  EVERYTHING,
  NAMESPACE,
  PROTOCOLS,
  type Refusal,
  SOCKET,
} from '../support/attacked-gateway.ts'

// Attack C15.
//
// A small body that is large once it is read: aliases of YAML (CVE-2019-11253), nesting without end, compression.

const attacked = attackedGateway({ policy: EVERYTHING })

const REVIEWS = `${SOCKET}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`
const TOO_LARGE: Refusal = { code: 413, reason: 'RequestEntityTooLarge' }
const UNSUPPORTED: Refusal = { code: 415, reason: 'UnsupportedMediaType' }
const JSON_TYPE = 'application/json'
const PROTOBUF = 'application/vnd.kubernetes.protobuf'
/** The magic, then a field of 2 GiB, and one that nests in itself. */
const LYING_PROTOBUF = 'k8s\0\x12\xff\xff\xff\xff\x07'
const NESTED_PROTOBUF = `k8s\0${'\x12\x7f'.repeat(1_000)}`

describe.each(PROTOCOLS)('over %s: a review that is', (protocol) => {
  test.each<[string, string, string, Refusal]>([
    ['larger than a review', JSON_TYPE, `{"spec":{},"x":"${'a'.repeat(70_000)}"}`, TOO_LARGE],
    ['larger than any review', JSON_TYPE, `{"spec":{},"x":"${'a'.repeat(3_000_000)}"}`, TOO_LARGE],
    ['of protobuf and larger', PROTOBUF, `k8s\0${'\x0a\x00'.repeat(40_000)}`, TOO_LARGE],
    ['nested in arrays', JSON_TYPE, '['.repeat(60_000), BAD_REQUEST],
    ['nested in objects', JSON_TYPE, '{"a":'.repeat(12_000), BAD_REQUEST],
    ['nested in its spec', JSON_TYPE, `{"spec":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, BAD_REQUEST],
    ['YAML', 'application/yaml', 'a: &a [x]\nb: [*a, *a]', UNSUPPORTED],
    ['YAML under the name of JSON', JSON_TYPE, 'spec: {}', BAD_REQUEST],
    ['CBOR', 'application/cbor', '\xbf\xff', UNSUPPORTED],
    ['empty', JSON_TYPE, '', BAD_REQUEST],
    ['protobuf that says it is longer', PROTOBUF, LYING_PROTOBUF, BAD_REQUEST],
    ['protobuf that nests', PROTOBUF, NESTED_PROTOBUF, BAD_REQUEST],
    ['protobuf without its magic', PROTOBUF, '\x12\x00', BAD_REQUEST],
    ['no review', JSON_TYPE, '[]', BAD_REQUEST],
    ['null', JSON_TYPE, 'null', BAD_REQUEST],
    ['a review of an array', JSON_TYPE, '{"spec":[]}', BAD_REQUEST],
    ['a review of a number', JSON_TYPE, '{"spec":{"resourceAttributes":{"verb":1}}}', BAD_REQUEST],
  ])('%s is refused', async (_, type, body, refusal) => {
    const spentMs = cpuStopwatch()
    const request = { method: 'POST', target: REVIEWS, body, lines: [['Content-Type', type]] as const }
    await attacked.expectRefused(await attacked.send(protocol, request), refusal)
    expect(spentMs()).toBeLessThan(2_000)
  })

  test('compressed is refused unread', async () => {
    const lines = [['Content-Encoding', 'gzip']] as const
    const request = {
      method: 'POST',
      target: REVIEWS,
      body: gzipSync(Buffer.alloc(10_000_000)).toString('latin1'),
      lines,
    }
    await attacked.expectRefused(await attacked.send(protocol, request), BAD_REQUEST)
  })

  test.each(['application/yaml', 'application/json', 'application/cbor', 'text/html'])(
    'anything else, as %s, is not read here at all',
    async (type) => {
      const bodies: Buffer[] = []
      attacked.apiServer.onRequest = (request, response) => {
        request.on('data', (chunk: Buffer) => bodies.push(chunk))
        request.once('end', () => response.end('{"items":[]}'))
      }
      const body = `a: &a [x]\n${'b: [*a,'.repeat(1_000)}`
      const lines = [['Content-Type', type]] as const
      const answer = await attacked.send(protocol, { method: 'POST', target: `${NAMESPACE}/configmaps`, body, lines })
      attacked.expectForwarded(answer)
      expect(Buffer.concat(bodies).toString()).toBe(body)
    },
  )
})
