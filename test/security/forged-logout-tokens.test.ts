import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, UNAUTHORIZED } from '../support/attacked-gateway.ts'
import { askPortal, postToPortal } from '../support/portal-requests.ts'
import {
  claimsOfAna,
  createSigningKey,
  type SigningKey,
  type StagedIssuer,
  startStagedIssuer,
} from '../support/staged-issuer.ts'

// Attacks E1, E5, E7, E10.
//
// Anybody may say that a session at the issuer has ended: the request has no credential but the token in it. Who forges one
// throws people out of what they do; who takes one for an ID token, or an ID token for one, lets somebody in, or out.

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const EVENTS = { [EVENT]: {} }
const PATH = '/backchannel-logout'

/** Tokens of it are taken, and nobody asked for its logout tokens. It is there before the connector starts. */
const partners = await startStagedIssuer()
let foreign: SigningKey
let symmetric: string

const attacked = attackedGateway({
  policy: EVERYTHING,
  adjust: (document) => {
    const [issuer, ...rest] = document.identity.issuers
    if (issuer === undefined) throw new Error('there is no issuer')
    const partner = {
      ...issuer,
      issuer: { url: partners.url, audiences: ['postern'], certificateAuthority: partners.certificateAuthority },
      claimMappings: { username: { claim: 'email', prefix: 'partner:' } },
    }
    const own = { ...issuer, client: { id: 'postern', backchannelLogout: true } }
    return { ...document, identity: { ...document.identity, issuers: [own, partner, ...rest] } }
  },
})
beforeAll(async () => {
  foreign = await createSigningKey('first-key')
  symmetric = Buffer.from(JSON.stringify(attacked.gateway.issuer.key.publicJwk)).toString('base64url')
})
afterAll(() => partners.close())

const nowSeconds = (): number => Math.floor(Date.now() / 1000)
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
/** Those of a logout token of ana's session, in place of those of an ID token. */
const claims = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  email: undefined,
  email_verified: undefined,
  groups: undefined,
  exp: nowSeconds() + 120,
  jti: randomUUID(),
  events: EVENTS,
  sid: 's',
  sub: 'ana',
  ...changes,
})
const sign = (changes: Record<string, unknown> = {}, how: Parameters<StagedIssuer['sign']>[1] = {}): Promise<string> =>
  attacked.gateway.issuer.sign(claims(changes), { header: { typ: 'logout+jwt' }, ...how })
const post = (token: string, headers = {}) =>
  postToPortal(attacked.gateway, PATH, new URLSearchParams({ logout_token: token }).toString(), headers)

const idTokenOf = (sid: string, sub = 'ana'): Promise<string> => attacked.gateway.issuer.sign({ sub, sid })
const pods = async (token: string): Promise<number> => {
  const answer = await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods`, token })
  return 'statusCode' in answer ? answer.statusCode : 0
}

async function expectRefused(answer: Awaited<ReturnType<typeof postToPortal>>, why: string | RegExp): Promise<void> {
  expect([answer.statusCode, answer.headers['cache-control']]).toEqual([400, 'no-store'])
  const { error, error_description: description } = JSON.parse(answer.body) as Record<string, string>
  expect(error).toBe('invalid_request')
  expect(description).toMatch(why)
  const auditId = String(answer.headers['audit-id'])
  const event = await attacked.eventOf(auditId)
  expect(event).toMatchObject({ requestURI: PATH, verb: 'post', user: {}, responseStatus: { code: 400 } })
  expect(event.responseStatus?.message).toBe(description)
}

describe('a logout token', () => {
  const honest: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['of the session', {}, { typ: 'logout+jwt' }],
    ['without a type', {}, {}],
    ['of a type of before', {}, { typ: 'JWT' }],
    ['for several clients', { aud: ['other', 'postern'] }, { typ: 'application/logout+jwt' }],
    ['that names no person', { sub: undefined }, { typ: 'logout+jwt' }],
    ['that names no session', { sid: undefined }, { typ: 'logout+jwt' }],
  ]
  test.for(honest)('%s ends its logins', async ([, changes, header]) => {
    // Each of a person and a session of its own: a session that has ended does not come back.
    const [sub, sid] = [`ana-${randomUUID()}`, randomUUID()]
    const own = await idTokenOf(sid, sub)
    const [other, elsewhere] = [await idTokenOf(randomUUID(), `boris-${sub}`), await idTokenOf(randomUUID(), sub)]
    for (const one of [own, other, elsewhere]) expect(await pods(one)).toBe(200)
    const named = { ...('sub' in changes ? {} : { sub }), ...('sid' in changes ? {} : { sid }) }
    const answer = await post(await sign({ ...changes, ...named }, { header }))
    expect([answer.statusCode, answer.body, answer.headers['cache-control']]).toEqual([200, '', 'no-store'])
    const event = await attacked.eventOf(String(answer.headers['audit-id']))
    expect(event).toMatchObject({ user: { username: attacked.gateway.issuer.url }, responseStatus: { code: 200 } })
    expect(event.annotations['postern.dev/logins']).toMatch(/^[0-9a-f-]{36}/)
    expect(await pods(other)).toBe(200)
    expect(await pods(elsewhere)).toBe('sid' in changes ? 401 : 200)
    attacked.forget()
    await attacked.expectRefused(await attacked.send('HTTP/2', { target: `${NAMESPACE}/pods`, token: own }), {
      ...UNAUTHORIZED,
      message: `this login was revoked by ${attacked.gateway.issuer.url}: signed out there; sign in again`,
    })
  })

  test('of a session that nobody knows is taken, and ends nothing', async () => {
    const answer = await post(await sign({ sid: randomUUID(), sub: randomUUID() }))
    expect(answer.statusCode).toBe(200)
    const event = await attacked.eventOf(String(answer.headers['audit-id']))
    expect(event.annotations).not.toHaveProperty('postern.dev/logins')
  })
})

describe('is refused, and ends nothing:', () => {
  const forged: [string, () => Promise<string> | string, string | RegExp][] = [
    ['one that somebody else signed', () => sign({}, { key: foreign }), 'the signature of the token does not hold'],
    [
      'one with a key that is not published',
      async () => sign({}, { key: await createSigningKey('another-key') }),
      /a key that its issuer does not publish|cannot be reached/,
    ],
    ['one for another client', () => sign({ aud: 'other' }), 'is meant for another client'],
    ['one for nobody', () => sign({ aud: undefined }), 'is meant for another client'],
    ['one for an audience that is no client', () => sign({ aud: ['https://kube.example.com'] }), 'another client'],
    [
      'one of another issuer that has keys here',
      () => partners.sign(claims(), { header: { typ: 'logout+jwt' } }),
      'logout tokens of this issuer are not taken',
    ],
    [
      'one that another issuer signed in the name of this',
      () => partners.sign(claims({ iss: attacked.gateway.issuer.url })),
      'the signature of the token does not hold',
    ],
    ['one of nobody known', () => sign({ iss: 'https://evil.example' }), 'an issuer that is not known here'],
    ['one of nobody', () => sign({ iss: undefined }), 'does not say who issued it'],
    ['an ID token', () => attacked.gateway.issuer.sign({ sub: 'ana', sid: 's', jti: 'x' }), 'the logout token is none'],
    ['one with a nonce', () => sign({ nonce: 'n' }), 'has a nonce'],
    ['one with a nonce that is null', () => sign({ nonce: null }), 'has a nonce'],
    ['one without events', () => sign({ events: undefined }), 'is none'],
    ['one of another event', () => sign({ events: { 'https://example.com/moved': {} } }), 'is none'],
    ['one whose event is text', () => sign({ events: { [EVENT]: 'yes' } }), 'is none'],
    ['one whose events are a list', () => sign({ events: [EVENT] }), 'is none'],
    ['one that expired', () => sign({ iat: nowSeconds() - 300, exp: nowSeconds() - 60 }), 'expired'],
    ['one that does not expire', () => sign({ exp: undefined }), 'no usable exp'],
    ['one that holds for a day', () => sign({ exp: nowSeconds() + 86_400 }), 'valid for more than 60 minutes'],
    ['one of the future', () => sign({ iat: nowSeconds() + 120, exp: nowSeconds() + 200 }), 'issued in the future'],
    ['one without a time', () => sign({ iat: undefined }), 'no usable iat'],
    ['one with a time of another type', () => sign({ iat: '0' }), 'no usable iat'],
    ['one without an id', () => sign({ jti: undefined }), 'has no jti'],
    ['one with an id that is none', () => sign({ jti: { a: 1 } }), 'no usable jti'],
    ['one about nobody', () => sign({ sub: undefined, sid: undefined }), 'names neither a person nor a session'],
    ['one about nobody in words', () => sign({ sub: '', sid: '' }), 'names neither a person nor a session'],
    ['one whose session is a list', () => sign({ sid: ['s'] }), 'no usable sid'],
    ['an access token', () => sign({}, { header: { typ: 'at+jwt' } }), 'of another kind'],
    [
      'one that is not signed',
      () =>
        `${encode({ alg: 'none', typ: 'logout+jwt' })}.${encode({ ...claimsOfAna(attacked.gateway.issuer.url, claims()) })}.`,
      'signed in a way that is not accepted',
    ],
    [
      'one that is signed with what everybody knows',
      () =>
        `${encode({ alg: 'HS256', kid: 'first-key' })}.${encode(claimsOfAna(attacked.gateway.issuer.url, claims()))}.${symmetric}`,
      'signed in a way that is not accepted',
    ],
    ['an encrypted one', () => 'a.a.a.a.a', 'an encrypted token is not accepted'],
    ['no token', () => 'x', 'is not a JSON Web Token'],
  ]
  test.for(forged)('%s', async ([, make, why]) => {
    // What would end everything of ana's: a session, and all of hers.
    const standing = await idTokenOf('s')
    expect(await pods(standing)).toBe(200)
    await expectRefused(await post(await make()), why)
    expect(await pods(standing)).toBe(200)
  })

  test('one that was used before', async () => {
    const [sub, token] = ['replayed', await sign({ sub: 'replayed', sid: undefined })]
    expect(await pods(await idTokenOf('before', sub))).toBe(200)
    expect((await post(token)).statusCode).toBe(200)
    const after = await idTokenOf('after', sub)
    expect(await pods(after)).toBe(200)
    await expectRefused(await post(token), 'the logout token was used before')
    expect(await pods(after)).toBe(200)
  })

  const form = (fields: [string, string][]): string => new URLSearchParams(fields).toString()
  test.for<[string, (token: string) => string, Record<string, string>]>([
    [
      'two tokens in one form',
      (token) =>
        form([
          ['logout_token', token],
          ['logout_token', token],
        ]),
      {},
    ],
    ['no form field', (token) => token, {}],
    ['JSON', (token) => JSON.stringify({ logout_token: token }), { 'content-type': 'application/json' }],
    ['a form that is compressed', (token) => form([['logout_token', token]]), { 'content-encoding': 'gzip' }],
    [
      'another character set',
      (token) => form([['logout_token', token]]),
      { 'content-type': 'application/x-www-form-urlencoded; charset=none' },
    ],
    [
      'a form without end',
      (token) =>
        form([
          ['logout_token', token],
          ['x', 'x'.repeat(40_000)],
        ]),
      {},
    ],
    ['nothing', () => '', {}],
  ])('%s', async ([, body, headers]) => {
    const standing = await idTokenOf('s')
    await expectRefused(await postToPortal(attacked.gateway, PATH, body(await sign()), headers), /^the body /)
    expect(await pods(standing)).toBe(200)
  })
})

test('a logout token opens nothing', async () => {
  const asIfAna = claimsOfAna(attacked.gateway.issuer.url, { jti: randomUUID(), events: EVENTS, sid: 's' })
  for (const header of [{ typ: 'logout+jwt' }, { typ: 'JWT' }, {}]) {
    const token = await attacked.gateway.issuer.sign(asIfAna, { header })
    attacked.forget()
    for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
      const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
      await attacked.expectRefused(answer, { ...UNAUTHORIZED, message: 'the token is not an ID token' })
    }
    const { statusCode } = await askPortal(attacked.gateway, token, 'GET', '/apis/postern.dev/v1alpha1/logins')
    expect(statusCode).toBe(401)
  }
})

test.for(['GET', 'PUT', 'DELETE'])('there is nothing to %s there', async (method) => {
  expect((await askPortal(attacked.gateway, attacked.gateway.token, method, PATH)).statusCode).toBe(405)
})

test('many at once cost no more than so many, and the gateway serves on', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, async () => post(await sign({}, { key: foreign }))))
  expect(new Set(answers.map(({ statusCode }) => statusCode)).isSubsetOf(new Set([400, 429]))).toBe(true)
  await attacked.expectServing()
})
