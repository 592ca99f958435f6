import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderRequestHead } from './request-head.ts'
import type { UpstreamRequest } from './upstream.ts'

const ENDPOINT = { authority: 'api.example.com:6443', pathPrefix: '' }
const GET: UpstreamRequest = { method: 'GET', target: '/version', headers: [], bodyLength: 0 }

describe('the head of a request', () => {
  test('holds what it was given and what is ours, in this order', () => {
    const request: UpstreamRequest = {
      method: 'GET',
      target: '/api/v1/pods?limit=500',
      headers: ['Accept', 'application/json', 'Impersonate-Group', 'a,b', 'Impersonate-Group', 'c'],
      bodyLength: 0,
    }
    expect(renderRequestHead(request, ENDPOINT, 'Bearer t').split('\r\n')).toEqual([
      'GET /api/v1/pods?limit=500 HTTP/1.1',
      'Host: api.example.com:6443',
      'Accept: application/json',
      'Impersonate-Group: a,b',
      'Impersonate-Group: c',
      'Authorization: Bearer t',
      '',
      '',
    ])
  })

  test('has no authorization when a client certificate says who we are', () => {
    expect(renderRequestHead(GET, ENDPOINT, undefined)).not.toMatch(/authorization/i)
  })

  test('puts the path of the server before the target', () => {
    const head = renderRequestHead(GET, { ...ENDPOINT, pathPrefix: '/k8s/clusters/c-1' }, undefined)
    expect(head).toMatch(/^GET \/k8s\/clusters\/c-1\/version HTTP\/1\.1\r\n/)
  })

  test.each<[string, number | 'chunked', RegExp]>([
    ['POST', 'chunked', /\r\nTransfer-Encoding: chunked\r\n\r\n$/],
    ['POST', 12, /\r\nContent-Length: 12\r\n\r\n$/],
    ['POST', 0, /\r\nContent-Length: 0\r\n\r\n$/],
    ['PATCH', 0, /\r\nContent-Length: 0\r\n\r\n$/],
    ['PUT', 0, /\r\nContent-Length: 0\r\n\r\n$/],
    ['DELETE', 3, /\r\nContent-Length: 3\r\n\r\n$/],
  ])('frames a %s with a body of %s', (method, bodyLength, end) => {
    expect(renderRequestHead({ ...GET, method, bodyLength }, ENDPOINT, undefined)).toMatch(end)
  })

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])('does not frame a %s without a body', (method) => {
    const head = renderRequestHead({ ...GET, method }, ENDPOINT, undefined)
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
  })

  test('asks to switch protocols', () => {
    const request = { ...GET, method: 'POST' }
    expect(renderRequestHead(request, ENDPOINT, undefined, 'SPDY/3.1')).toContain(
      '\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n',
    )
  })

  test.each<[string, Partial<UpstreamRequest>]>([
    ['an empty method', { method: '' }],
    ['a method in small letters', { method: 'get' }],
    ['a method with a space', { method: 'GET /x HTTP/1.1\r\nA:' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['an absolute target', { target: 'https://example.com/' }],
    ['an empty target', { target: '' }],
    ['an asterisk', { target: '*' }],
    ['a target with a space', { target: '/a b' }],
    ['a target with a line break', { target: '/a\r\nB: c' }],
    ['a target with a tab', { target: '/a\tb' }],
    ['a target beyond ASCII', { target: '/\xe4' }],
    ['a name without a value', { headers: ['Accept'] }],
    ['an empty name', { headers: ['', 'x'] }],
    ['a name with a colon', { headers: ['A:b', 'x'] }],
    ['a name with a line break', { headers: ['A\r\nB', 'x'] }],
    ['a name with an underscore', { headers: ['Impersonate_User', 'x'] }],
    ['a value with a line break', { headers: ['Impersonate-User', 'ana\r\nImpersonate-Group: system:masters'] }],
    ['a value with a bare LF', { headers: ['A', 'b\nc'] }],
    ['a value with a bare CR', { headers: ['A', 'b\rc'] }],
    ['a value with a NUL', { headers: ['A', '\0'] }],
    ['a value of more than one byte a character', { headers: ['A', '\u010d'] }],
    ['a value that turns into a line break when cut to bytes', { headers: ['A', '\u010a'] }],
    ['a negative length', { bodyLength: -1 }],
    ['half a length', { bodyLength: 0.5 }],
    ['no length', { bodyLength: NaN }],
    ['an endless length', { bodyLength: Infinity }],
  ])('is not written for %s', (_what, wrong) => {
    expect(() => renderRequestHead({ ...GET, ...wrong }, ENDPOINT, undefined)).toThrow(TypeError)
  })

  test.each([
    ...['Host', 'AUTHORIZATION', 'connection', 'Content-Length', 'content-length', 'Transfer-Encoding', 'Upgrade'],
    ...['Keep-Alive', 'TE', 'Trailer', 'Expect', 'Proxy-Connection', 'Proxy-Authorization'],
  ])('is not written when the caller sets %s', (name) => {
    expect(() => renderRequestHead({ ...GET, headers: [name, 'x'] }, ENDPOINT, undefined)).toThrow(TypeError)
  })

  test('never asks to switch to what is not the name of a protocol, or with a body', () => {
    expect(() => renderRequestHead(GET, ENDPOINT, undefined, 'a, h2c')).toThrow(TypeError)
    expect(() => renderRequestHead(GET, ENDPOINT, undefined, 'a\r\nB: c')).toThrow(TypeError)
    expect(() => renderRequestHead({ ...GET, bodyLength: 1 }, ENDPOINT, undefined, 'websocket')).toThrow(TypeError)
  })

  test('is one head with the lines it was given, or is not written at all', () => {
    const text = fc.oneof(
      fc.array(fc.nat(0x17f), { maxLength: 12 }).map((codes) => String.fromCharCode(...codes)),
      fc.stringMatching(/^[ -~]{0,12}$/),
    )
    const headers = fc.array(fc.tuple(fc.oneof(fc.stringMatching(/^X-[A-Za-z-]{0,8}$/), text), text), { maxLength: 4 })
    fc.assert(
      fc.property(headers, fc.oneof(fc.constant('/a'), text), (pairs, target) => {
        let head: string
        try {
          head = renderRequestHead({ ...GET, target, headers: pairs.flat() }, ENDPOINT, undefined)
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        const lines = head.split(/[\r\n\0]+/)
        expect(lines).toEqual([
          `GET ${target} HTTP/1.1`,
          `Host: ${ENDPOINT.authority}`,
          ...pairs.map(([name, value]) => `${name}: ${value}`),
          '',
        ])
        expect(head.endsWith('\r\n\r\n')).toBe(true)
        expect(head.indexOf('\r\n\r\n')).toBe(head.length - 4)
        expect(Buffer.from(head, 'latin1').toString('latin1')).toBe(head)
      }),
    )
  })
})
