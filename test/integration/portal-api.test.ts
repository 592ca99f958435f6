import supertest from 'supertest'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { PortalSocket } from '../../src/portal/sockets.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

const AUTHORITY = '-----BEGIN CERTIFICATE-----\nkube\n-----END CERTIFICATE-----\n'
const socket = (name: string): PortalSocket => ({
  name,
  url: `https://kube.example.com/sockets/${name}`,
  certificateAuthority: name === 'staging' ? '' : AUTHORITY,
  recording: name === 'production' ? 'required' : 'off',
})
const SOCKETS = ['production', 'staging', 'secret-lab'].map(socket)

let issuer: StagedIssuer
let portal: StartedPortal
let ana: string
let fail = false

beforeAll(async () => {
  issuer = await startStagedIssuer()
  portal = await startPortal({
    issuers: [issuer.options()],
    sockets: () => {
      if (fail) throw new Error('the table is broken at 10.0.0.7')
      return SOCKETS
    },
    mayReach: ({ username }, name) =>
      username === 'ana@example.com' && name !== 'secret-lab' ? ['read', 'exec in default'] : [],
  })
  ana = `Bearer ${await issuer.sign()}`
})
afterEach(() => {
  fail = false
})
afterAll(async () => {
  await portal.stop()
  await issuer.close()
})

/** supertest leaves the body untyped. */
const answerOf = (response: supertest.Response): { status: number; body: unknown } => response

const request = () => supertest.agent(portal.url, { ca: portal.certificateAuthority })
const TABLE =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'

function expectStatus(response: supertest.Response, code: number, reason: string): void {
  expect(response.status).toBe(code)
  expect(response.headers['content-type']).toBe('application/json')
  expect(response.body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code })
}

test('everybody may learn where the sockets are and where to sign in', async () => {
  const response = await request().get('/.well-known/postern')
  const options = issuer.options()
  expect(response.status).toBe(200)
  expect(response.body).toEqual({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Discovery',
    kubernetes: {
      publicURL: 'https://kube.example.com',
      certificateAuthorityData: Buffer.from(portal.certificateAuthority).toString('base64'),
    },
    issuers: [
      {
        url: issuer.url,
        clientID: options.client.id,
        scopes: options.client.scopes,
        certificateAuthorityData: Buffer.from(issuer.certificateAuthority).toString('base64'),
      },
    ],
  })
})

test.for(['/', '/.well-known/postern', '/apis', '/apis/postern.dev/v1alpha1/sockets', '/nowhere'])(
  'the answer to %s cannot be framed, sniffed, cached or scripted, and sets no cookie',
  async (path) => {
    const { headers } = await request().get(path)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';.*frame-ancestors 'none'$/)
    expect(headers['content-security-policy']).not.toMatch(/unsafe|script-src/)
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers).not.toHaveProperty('set-cookie')
    expect(headers).not.toHaveProperty('x-powered-by')
    expect(headers).not.toHaveProperty('etag')
  },
)

test('the landing page tells the two commands, without any script', async () => {
  const { status, text, headers } = await request().get('/')
  expect(status).toBe(200)
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  expect(text).toContain(`postern client login --portal ${portal.url}`)
  expect(text).toContain(`postern client kubeconfig set --portal ${portal.url}`)
  expect(text).not.toMatch(/<script|javascript:|\son\w+=/)
})

describe('who is not known', () => {
  test.for([
    '/apis',
    '/apis/postern.dev',
    '/apis/postern.dev/v1alpha1/sockets',
    '/apis/postern.dev/v1alpha1/sockets/production',
  ])('gets 401 from %s, and nothing else', async (path) => {
    for (const authorization of ['', 'Bearer nonsense', 'Basic YTpi']) {
      const response = await request()
        .get(path)
        .set(authorization === '' ? {} : { authorization })
      expectStatus(response, 401, 'Unauthorized')
      expect(response.headers['www-authenticate']).toBe('Bearer realm="postern"')
      expect(response.text).toContain('postern client login')
      expect(response.text).not.toContain('production"')
    }
  })

  test('gets 401 for an expired token', async () => {
    const token = await issuer.sign({}, { nowMs: Date.now() - 3_600_000 })
    expectStatus(await request().get('/apis').set('authorization', `Bearer ${token}`), 401, 'Unauthorized')
  })
})

test('a person sees the sockets that they may reach, and what they may do there', async () => {
  const { status, body } = answerOf(await request().get('/apis/postern.dev/v1alpha1/sockets').set('authorization', ana))
  expect(status).toBe(200)
  expect(body).toEqual({
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'SocketList',
    metadata: {},
    items: [
      {
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'Socket',
        metadata: { name: 'production' },
        spec: { recording: { sessions: 'required' } },
        status: {
          url: 'https://kube.example.com/sockets/production',
          certificateAuthorityData: Buffer.from(AUTHORITY).toString('base64'),
          access: ['read', 'exec in default'],
        },
      },
      {
        apiVersion: 'postern.dev/v1alpha1',
        kind: 'Socket',
        metadata: { name: 'staging' },
        spec: { recording: { sessions: 'off' } },
        status: { url: 'https://kube.example.com/sockets/staging', access: ['read', 'exec in default'] },
      },
    ],
  })
})

test('a person who may reach nothing sees an empty list', async () => {
  const token = await issuer.sign({ sub: 'omar', email: 'omar@example.com' })
  const { status, body } = answerOf(
    await request().get('/apis/postern.dev/v1alpha1/sockets').set('authorization', `Bearer ${token}`),
  )
  expect(status).toBe(200)
  expect(body).toMatchObject({ items: [] })
})

test('a socket out of reach answers as one that does not exist', async () => {
  const get = (name: string) => request().get(`/apis/postern.dev/v1alpha1/sockets/${name}`).set('authorization', ana)
  expect((await get('production')).body).toMatchObject({ kind: 'Socket', metadata: { name: 'production' } })
  const [hidden, missing] = [await get('secret-lab'), await get('no-such')]
  expectStatus(hidden, 404, 'NotFound')
  expect(hidden.body).toMatchObject({ details: { name: 'secret-lab', group: 'postern.dev', kind: 'sockets' } })
  expect(hidden.text.replaceAll('secret-lab', 'no-such')).toBe(missing.text)
})

describe('kubectl', () => {
  const list = (accept: string, query = '') =>
    request().get(`/apis/postern.dev/v1alpha1/sockets${query}`).set({ authorization: ana, accept })

  test('gets a Table when it asks for one', async () => {
    const { body } = answerOf(await list(TABLE))
    expect(body).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      columnDefinitions: [{ name: 'Name' }, { name: 'Access' }, { name: 'Recorded' }, { name: 'URL', priority: 1 }],
      rows: [
        {
          cells: ['production', 'read, exec in default', 'required', 'https://kube.example.com/sockets/production'],
          object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'production' } },
        },
        { cells: ['staging', 'read, exec in default', 'off', 'https://kube.example.com/sockets/staging'] },
      ],
    })
  })

  test.for([
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', '', 'Table', 'meta.k8s.io/v1beta1'],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', '', 'SocketList', 'postern.dev/v1alpha1'],
    ['application/vnd.kubernetes.protobuf,application/json', '', 'SocketList', 'postern.dev/v1alpha1'],
    ['application/json, application/json;as=Table;v=v1;g=meta.k8s.io', '', 'SocketList', 'postern.dev/v1alpha1'],
    ['*/*', '?limit=500', 'SocketList', 'postern.dev/v1alpha1'],
  ] as const)('with Accept %s%s gets a %s', async ([accept, query, kind, apiVersion]) => {
    expect((await list(accept, query)).body).toMatchObject({ kind, apiVersion })
  })

  test.for([
    ['None', null],
    ['Object', { kind: 'Socket', status: { access: ['read', 'exec in default'] } }],
    ['', { kind: 'PartialObjectMetadata' }],
  ] as const)('gets with includeObject=%s what it asks for in each row', async ([include, object]) => {
    const { body } = (await list(TABLE, `?includeObject=${include}`)) as { body: { rows: { object: unknown }[] } }
    if (object === null) expect(body.rows[0]?.object).toBeNull()
    else expect(body.rows[0]?.object).toMatchObject(object)
  })

  test('gets a Table of one for a name', async () => {
    const { body } = answerOf(
      await request().get('/apis/postern.dev/v1alpha1/sockets/staging').set({ authorization: ana, accept: TABLE }),
    )
    expect(body).toMatchObject({
      kind: 'Table',
      rows: [{ cells: ['staging', {}, 'off', {}].map(() => expect.anything() as unknown) }],
    })
  })

  test.for([
    ['?watch=1', 405, 'MethodNotAllowed'],
    ['?watch=true', 405, 'MethodNotAllowed'],
    ['?watch', 405, 'MethodNotAllowed'],
    ['?labelSelector=a%3Db', 400, 'BadRequest'],
    ['?fieldSelector=metadata.name%3Dproduction', 400, 'BadRequest'],
    ['?labelSelector=&limit=5&labelSelector=a', 400, 'BadRequest'],
    ['?a=%zz', 400, 'BadRequest'],
  ] as const)('is told that it cannot have %s', async ([query, code, reason]) => {
    expectStatus(await list('application/json', query), code, reason)
  })

  test('discovers the two groups', async () => {
    const get = async (path: string): Promise<unknown> => (await request().get(path).set('authorization', ana)).body
    expect(await get('/apis')).toMatchObject({
      kind: 'APIGroupList',
      groups: [{ name: 'authentication.k8s.io' }, { name: 'postern.dev', preferredVersion: { version: 'v1alpha1' } }],
    })
    expect(await get('/apis/postern.dev')).toMatchObject({ kind: 'APIGroup', name: 'postern.dev' })
    expect(await get('/apis/postern.dev/v1alpha1')).toMatchObject({
      kind: 'APIResourceList',
      groupVersion: 'postern.dev/v1alpha1',
      resources: [
        { name: 'logins', kind: 'Login', namespaced: false, verbs: ['delete', 'get', 'list'] },
        { name: 'recordings', kind: 'Recording', namespaced: false, verbs: ['delete', 'get', 'list'] },
        { name: 'recordings/cast', kind: 'Recording', namespaced: false, verbs: ['get'] },
        { name: 'sessions', kind: 'Session', namespaced: false, verbs: ['delete', 'get', 'list'] },
        { name: 'sessions/follow', kind: 'Session', namespaced: false, verbs: ['get'] },
        { name: 'sockets', kind: 'Socket', namespaced: false, verbs: ['get', 'list'] },
      ],
    })
  })
})

test('a person can ask who they are', async () => {
  const response = await request()
    .post('/apis/authentication.k8s.io/v1/selfsubjectreviews')
    .set('authorization', ana)
    .send({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' })
  expect(response.status).toBe(201)
  expect(response.body).toMatchObject({
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    status: { userInfo: { username: 'ana@example.com' } },
  })
})

test.for([
  ['post', '/apis/postern.dev/v1alpha1/sockets', 'GET, HEAD'],
  ['delete', '/apis/postern.dev/v1alpha1/sockets/production', 'GET, HEAD'],
  ['put', '/', 'GET, HEAD'],
  ['get', '/apis/authentication.k8s.io/v1/selfsubjectreviews', 'POST'],
] as const)('%s %s is not allowed, and the answer names what is', async ([method, path, allow]) => {
  const response = await request()[method](path).set('authorization', ana)
  expectStatus(response, 405, 'MethodNotAllowed')
  expect(response.headers['allow']).toBe(allow)
})

test.for([
  '/api',
  '/apis/apps/v1',
  '/apis/postern.dev/v1alpha1/sockets/',
  '/apis/postern.dev/v1alpha1/Sockets',
  '/sockets/production/api',
])('%s is not found', async (path) => {
  expectStatus(await request().get(path).set('authorization', ana), 404, 'NotFound')
})

test('a malformed path is a bad request', async () => {
  const response = await request().get('/apis/postern.dev/v1alpha1/sockets/%zz').set('authorization', ana)
  expectStatus(response, 400, 'BadRequest')
})

test('a failure of ours is told without particulars, and reported with them', async () => {
  fail = true
  const response = await request().get('/apis/postern.dev/v1alpha1/sockets').set('authorization', ana)
  expectStatus(response, 500, 'InternalError')
  expect(response.text).not.toContain('10.0.0.7')
  expect(portal.failures.map(({ message }) => message)).toEqual(['the table is broken at 10.0.0.7'])
})
