import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import {
  MAX_REVIEWS_UNDER_WAY,
  REVIEW_AGE_MS,
  type ServiceAccountsOptions,
  type TokenReviewRequest,
} from '../../src/identity/service-accounts.ts'
import { badGateway } from '../../src/kube/status.ts'
import { refusalOf } from '../support/refusal.ts'
import {
  bearer,
  createSigningKey,
  type SigningKey,
  type StagedIssuer,
  startStagedIssuer,
} from '../support/staged-issuer.ts'
import { SignJWT } from 'jose'

// Attacks E13, E26.
//
// A cluster's word on a token is three words: authenticated, no error, and for us. Somebody who reads one of them lets in
// tokens that the cluster refused, or ones for another service.

const CLUSTER = 'https://kubernetes.default.svc.cluster.local'
const USER = {
  username: 'system:serviceaccount:ci:deployer',
  uid: 'b3c7',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:ci', 'system:authenticated'],
  extra: { 'authentication.kubernetes.io/pod-name': ['runner-1'] },
}
const GOOD = { authenticated: true, audiences: ['postern'], user: USER }

let issuer: StagedIssuer
let key: SigningKey
let authenticator: OidcAuthenticator
let nowMs = Date.now()
const asked: TokenReviewRequest[] = []
let answer: () => Promise<unknown>

const reviewOf = (status: unknown): unknown => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status })
const answers = (value: unknown): void => {
  answer = () => Promise.resolve(value)
}

beforeAll(async () => {
  issuer = await startStagedIssuer()
  key = await createSigningKey('cluster-key')
})
afterAll(() => issuer.close())
afterEach(() => {
  authenticator.close()
})

function open(...more: ServiceAccountsOptions[]): void {
  asked.length = 0
  nowMs = Date.now()
  answers(reviewOf(GOOD))
  const review: ServiceAccountsOptions['review'] = (request) => {
    asked.push(request)
    return answer()
  }
  authenticator = createAuthenticator({
    issuers: [
      issuer.options({
        claimMappings: { username: { claim: 'sub', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
      }),
    ],
    serviceAccounts: [{ socket: 'production', audiences: ['postern'], prefix: 'production:', review }, ...more],
    clock: () => nowMs,
  })
}

function token(claims: Record<string, unknown> = {}): Promise<string> {
  const seconds = Math.floor(nowMs / 1000)
  return new SignJWT({
    iss: CLUSTER,
    aud: ['postern'],
    sub: USER.username,
    iat: seconds,
    exp: seconds + 3600,
    ...claims,
  })
    .setProtectedHeader({ alg: key.algorithm, kid: key.id })
    .sign(key.privateKey)
}

test('a service account comes in under the prefix of its cluster, for as long as its token holds', async () => {
  open()
  const text = await token()
  expect(await authenticator.authenticate(bearer(text))).toEqual({
    subject: {
      username: 'production:system:serviceaccount:ci:deployer',
      uid: 'b3c7',
      groups: [
        'production:system:serviceaccounts',
        'production:system:serviceaccounts:ci',
        'production:system:authenticated',
      ],
      extra: {},
    },
    issuer: 'serviceaccounts/production',
    expiresAtMs: (Math.floor(nowMs / 1000) + 3600) * 1000,
  })
  expect(asked).toEqual([
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: text, audiences: ['postern'] },
    },
  ])
})

test.for<[string, unknown]>([
  ['not authenticated', reviewOf({ ...GOOD, authenticated: false })],
  ['authenticated as text', reviewOf({ ...GOOD, authenticated: 'true' })],
  ['without a word on it', reviewOf({ audiences: ['postern'], user: USER })],
  ['with an error', reviewOf({ ...GOOD, error: 'invalid bearer token' })],
  ['with an error of another type', reviewOf({ ...GOOD, error: {} })],
  ['without audiences', reviewOf({ authenticated: true, user: USER })],
  ['with no audience', reviewOf({ ...GOOD, audiences: [] })],
  ['with an audience that is null', reviewOf({ ...GOOD, audiences: null })],
  ['with an audience that is text', reviewOf({ ...GOOD, audiences: 'postern' })],
  ["with the cluster's own audience", reviewOf({ ...GOOD, audiences: [CLUSTER] })],
  ['without a user', reviewOf({ ...GOOD, user: undefined })],
  ['with a nameless user', reviewOf({ ...GOOD, user: { ...USER, username: '' } })],
  ['with a user who is no service account', reviewOf({ ...GOOD, user: { ...USER, username: 'admin' } })],
  ['with a node', reviewOf({ ...GOOD, user: { ...USER, username: 'system:node:a' } })],
  ['with a name that looks like one', reviewOf({ ...GOOD, user: { ...USER, username: 'system:serviceaccount:ci' } })],
  [
    'with a line break in the name',
    reviewOf({ ...GOOD, user: { ...USER, username: 'system:serviceaccount:ci:a\nb' } }),
  ],
  ['with groups that are text', reviewOf({ ...GOOD, user: { ...USER, groups: 'system:serviceaccounts' } })],
  ['with a group that is a number', reviewOf({ ...GOOD, user: { ...USER, groups: ['a', 1] } })],
  ['without a status', reviewOf(undefined)],
  ['of another kind', { ...(reviewOf(GOOD) as object), kind: 'Status' }],
  ['that is null', null],
  ['that is a list', [reviewOf(GOOD)]],
])('an answer %s lets nobody in', async ([, value]) => {
  open()
  answers(value)
  expect(await refusalOf(authenticator, await token())).toMatchObject({ code: 401, reason: 'Unauthorized' })
})

test('a token for somebody else is not even shown to the cluster', async () => {
  open()
  for (const claims of [{ aud: [CLUSTER] }, { aud: undefined }, { aud: 'posterns' }, { aud: { postern: true } }]) {
    expect(await refusalOf(authenticator, await token(claims))).toMatchObject({ code: 401 })
  }
  expect(asked).toEqual([])
})

test('a token of an issuer that is known is never a matter for the cluster', async () => {
  open()
  const forged = await token({ iss: issuer.url })
  expect(await refusalOf(authenticator, forged)).toMatchObject({ code: 401 })
  expect(asked).toEqual([])
})

test('a cluster that does not answer refuses for now, and says so', async () => {
  open()
  answer = () => Promise.reject(badGateway('no', { detail: 'POST answered 403' }))
  const text = await token()
  expect(await refusalOf(authenticator, text)).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
  answers(reviewOf(GOOD))
  expect(await authenticator.authenticate(bearer(text))).toHaveProperty('issuer', 'serviceaccounts/production')
})

test('the word of the cluster is taken for a short while, then asked for again', async () => {
  open()
  const text = await token()
  const first = await authenticator.authenticate(bearer(text))
  expect(authenticator.authenticate(bearer(text))).toBe(first)
  expect(asked).toHaveLength(1)
  nowMs += REVIEW_AGE_MS
  answers(reviewOf({ authenticated: false, error: 'service account was deleted' }))
  expect(await refusalOf(authenticator, text)).toMatchObject({ code: 401 })
  expect(asked).toHaveLength(2)
})

test('a refused token is not asked about again for a while, and one under way is asked about once', async () => {
  open()
  answers(reviewOf({ authenticated: false }))
  const text = await token()
  await Promise.all([refusalOf(authenticator, text), refusalOf(authenticator, text)])
  await refusalOf(authenticator, text)
  expect(asked).toHaveLength(1)
})

test('a flood of tokens asks the cluster a bounded number of questions at once', async () => {
  open()
  const { promise, resolve } = Promise.withResolvers<unknown>()
  answer = () => promise
  const tokens = await Promise.all(
    Array.from({ length: MAX_REVIEWS_UNDER_WAY + 5 }, (_, index) => token({ jti: `${index}` })),
  )
  const waiting = tokens.map(async (text) => authenticator.authenticate(bearer(text)))
  const settled = Promise.allSettled(waiting)
  expect(asked).toHaveLength(MAX_REVIEWS_UNDER_WAY)
  resolve(reviewOf(GOOD))
  expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX_REVIEWS_UNDER_WAY)
})

test('no issuer gets a name that is kept for machines', async () => {
  open()
  for (const claims of [
    { sub: 'production:system:serviceaccount:ci:deployer' },
    { groups: ['dev', 'production:system:serviceaccounts'] },
  ]) {
    expect(await refusalOf(authenticator, await issuer.sign(claims))).toMatchObject({
      code: 401,
      message: expect.stringContaining('"production:", which is kept for machines') as unknown,
    })
  }
})

test('clusters are told apart by their audiences, and never share a prefix', async () => {
  const other: TokenReviewRequest[] = []
  open({
    socket: 'staging',
    audiences: ['postern-staging'],
    prefix: 'staging:',
    review: (request) => {
      other.push(request)
      return Promise.resolve(reviewOf({ ...GOOD, audiences: ['postern-staging'] }))
    },
  })
  const { subject } = await authenticator.authenticate(bearer(await token({ aud: ['postern-staging'] })))
  expect(subject.username).toBe('staging:system:serviceaccount:ci:deployer')
  expect([asked.length, other.length]).toEqual([0, 1])
  const twice = { socket: 'a', audiences: ['a'], prefix: 'a:', review: () => Promise.resolve(null) }
  for (const serviceAccounts of [[twice, twice], [{ ...twice, prefix: '' }], [{ ...twice, prefix: 'system:' }]]) {
    expect(() => createAuthenticator({ issuers: [issuer.options()], serviceAccounts })).toThrow('a prefix of machines')
  }
})
