import { describe, expect, it } from 'vitest'
import type { Upstream } from '../upstream/upstream.ts'
import { type Socket, SocketTable } from './socket-table.ts'

const upstream = {} as Upstream
const production: Socket = {
  name: 'production',
  hosts: ['prod.example.com'],
  upstream,
  forwardAs: 'connector',
  recordSessions: 'off',
  recordInput: false,
}
const staging: Socket = {
  name: 'staging',
  hosts: ['staging.example.com'],
  upstream,
  forwardAs: 'connector',
  recordSessions: 'off',
  recordInput: false,
}
const table = new SocketTable([production, staging], null)
const withDefault = new SocketTable([production, staging], 'staging')

describe('the socket of a request', () => {
  it.each([
    ['/sockets/production/api/v1/pods?watch=1', 'x:8443', 'production', '/sockets/production', '/api/v1/pods?watch=1'],
    ['/sockets/production', '', 'production', '/sockets/production', '/'],
    ['/sockets/production?timeout=1s', '', 'production', '/sockets/production', '/?timeout=1s'],
    ['/api', 'prod.example.com', 'production', '', '/api'],
    ['/api', 'PROD.example.com:8443', 'production', '', '/api'],
    ['/sockets/production/api', 'prod.example.com', 'production', '/sockets/production', '/api'],
  ])('of %s at "%s" is %s', (target, authority, name, prefix, rawTarget) => {
    const route = table.route(target, authority)
    expect(route).toMatchObject({ prefix, rawTarget })
    expect(route.socket.name).toBe(name)
  })

  it('is the default one when nothing names one', () => {
    expect(withDefault.route('/api', '127.0.0.1:8443').socket.name).toBe('staging')
    expect(withDefault.route('/api', '[::1]:8443').socket.name).toBe('staging')
  })

  it.each([
    ['/api', 'elsewhere.example.com', 404],
    ['/sockets/nowhere/api', '', 404],
    ['/sockets//api', '', 404],
    ['/sockets/Production/api', '', 404],
    ['/sockets/__proto__/api', '', 404],
    ['/sockets/%70roduction/api', '', 404],
    ['//sockets/production/api', '', 404],
    ['/sockets/production/api', 'staging.example.com', 400],
  ])('of %s at "%s" is refused with %i', (target, authority, code) => {
    expect(() => table.route(target, authority)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code }) as unknown }) as Error,
    )
  })

  it('cannot be two', () => {
    expect(() => new SocketTable([production, production], null)).toThrow(TypeError)
    expect(() => new SocketTable([production, { ...staging, hosts: production.hosts }], null)).toThrow(TypeError)
    expect(() => new SocketTable([production], 'staging')).toThrow(TypeError)
  })
})
