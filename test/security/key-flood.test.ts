import { afterAll, beforeAll, expect, test } from 'vitest'
import { REFRESH_BURST, REFRESH_COOLDOWN_MS } from '../../src/identity/key-set.ts'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import {
  bearer,
  createSigningKey,
  type SigningKey,
  type StagedIssuer,
  startStagedIssuer,
} from '../support/staged-issuer.ts'

// Attack E22.
//
// Tokens with made-up key ids must not make us flood the issuer, nor shut others out; and a key that was withdrawn is not kept.

let issuer: StagedIssuer
let forged: SigningKey
let authenticator: OidcAuthenticator
let nowMs = Date.now()
const fetches = (): number => issuer.seen.filter((path) => path === '/keys').length

beforeAll(async () => {
  issuer = await startStagedIssuer()
  forged = await createSigningKey('forged')
  authenticator = createAuthenticator({ issuers: [issuer.options()], clock: () => nowMs })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

const flood = (count: number, round: string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, (_, n) => issuer.sign({}, { key: forged, header: { kid: `${round}-${n}` }, nowMs })),
  )

const UNPUBLISHED = 'the token is signed with a key that its issuer does not publish'
const NOT_KNOWN_YET = {
  code: 503,
  message: 'the token is signed with a key that is not known here yet; try again shortly',
  details: { retryAfterSeconds: REFRESH_COOLDOWN_MS / 1000 },
}

test('a flood of made-up key ids makes the issuer be asked a few times, and those who are known come through', async () => {
  const known = await issuer.sign({}, { nowMs })
  await authenticator.authenticate(bearer(known))
  const before = fetches()

  const [statuses, newcomer] = await Promise.all([
    flood(200, 'first').then((tokens) => Promise.all(tokens.map((token) => refusalOf(authenticator, token)))),
    issuer.sign({ sub: 'newcomer' }, { nowMs }).then((token) => authenticator.authenticate(bearer(token))),
  ])
  for (const { code } of statuses) expect([401, 503]).toContain(code)
  expect(newcomer.subject.username).toBe('ana@example.com')
  for (const token of await flood(20, 'second')) await refusalOf(authenticator, token)
  expect(fetches() - before).toBe(REFRESH_BURST)
  expect(authenticator.authenticate(bearer(known))).toHaveProperty('subject.username', 'ana@example.com')

  for (const token of await flood(20, 'third')) {
    expect(await refusalOf(authenticator, token)).toMatchObject(NOT_KNOWN_YET)
  }
  nowMs += REFRESH_COOLDOWN_MS
  for (const token of await flood(20, 'fourth')) await refusalOf(authenticator, token)
  expect(fetches() - before).toBe(REFRESH_BURST + 1)
})

test('whoever comes with a new key while made-up ones trickle in is let in at once', async () => {
  nowMs += REFRESH_BURST * REFRESH_COOLDOWN_MS
  for (const token of await flood(20, 'trickle')) {
    await refusalOf(authenticator, token)
    nowMs += REFRESH_COOLDOWN_MS
  }
  await refusalOf(authenticator, await issuer.sign({}, { key: forged, nowMs }))
  const next = await createSigningKey('next-key')
  issuer.keys = { keys: [issuer.key.publicJwk, next.publicJwk] }
  const { subject } = await authenticator.authenticate(bearer(await issuer.sign({}, { key: next, nowMs })))
  expect(subject.username).toBe('ana@example.com')
})

test('whoever comes with a new key during a flood is told to come again, and is let in then', async () => {
  for (const token of await flood(20, 'burst')) await refusalOf(authenticator, token)
  const next = await createSigningKey('key-after-next')
  issuer.keys = { keys: [issuer.key.publicJwk, next.publicJwk] }
  const token = await issuer.sign({}, { key: next, nowMs })
  expect(await refusalOf(authenticator, token)).toMatchObject(NOT_KNOWN_YET)

  nowMs += REFRESH_COOLDOWN_MS
  // The flood goes on, and is there first.
  await Promise.all((await flood(20, 'on-and-on')).map((forgedToken) => refusalOf(authenticator, forgedToken)))
  expect(await authenticator.authenticate(bearer(token))).toHaveProperty('subject.username', 'ana@example.com')
})

test('a withdrawn key is gone with the next refresh, for tokens seen before as well', async () => {
  nowMs += REFRESH_BURST * REFRESH_COOLDOWN_MS
  const stolen = await issuer.sign({ sub: 'thief' }, { nowMs })
  await authenticator.authenticate(bearer(stolen))
  const next = await createSigningKey('last-key')
  issuer.keys = { keys: [next.publicJwk] }

  await authenticator.authenticate(bearer(await issuer.sign({}, { key: next, nowMs })))
  expect(await refusalOf(authenticator, stolen)).toEqual(unauthorized(UNPUBLISHED))
})

test('an issuer that answers without end is cut off', async () => {
  const endless = await startStagedIssuer()
  endless.staged.set('/keys', (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(' '.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more)
    }
    response.on('error', () => undefined)
    more()
  })
  const patient = createAuthenticator({ issuers: [endless.options()] })
  expect(await refusalOf(patient, await endless.sign())).toMatchObject({ code: 503 })
  expect(patient.readiness()[0]?.reason).toContain('longer than 1048576 bytes')
  patient.close()
  await endless.close()
})
