import { afterAll, beforeAll, expect, test } from 'vitest'
import { REFRESH_COOLDOWN_MS } from '../../src/identity/key-set.ts'
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

test('a flood of made-up key ids asks the issuer once, and those who are known come through', async () => {
  const known = await issuer.sign({}, { nowMs })
  await authenticator.authenticate(bearer(known))
  expect(fetches()).toBe(1)
  nowMs += REFRESH_COOLDOWN_MS

  const [statuses, newcomer] = await Promise.all([
    flood(200, 'first').then((tokens) => Promise.all(tokens.map((token) => refusalOf(authenticator, token)))),
    issuer.sign({ sub: 'newcomer' }, { nowMs }).then((token) => authenticator.authenticate(bearer(token))),
  ])
  for (const status of statuses) {
    expect(status).toEqual(unauthorized('the token is signed with a key that its issuer does not publish'))
  }
  expect(fetches()).toBe(2)
  expect(newcomer.subject.username).toBe('ana@example.com')
  expect(authenticator.authenticate(bearer(known))).toHaveProperty('subject.username', 'ana@example.com')

  await Promise.all((await flood(100, 'second')).map((token) => refusalOf(authenticator, token)))
  expect(fetches()).toBe(2)
})

test('a withdrawn key is gone with the next refresh, for tokens seen before as well', async () => {
  const stolen = await issuer.sign({ sub: 'thief' }, { nowMs })
  await authenticator.authenticate(bearer(stolen))
  const next = await createSigningKey('next-key')
  issuer.keys = { keys: [next.publicJwk] }
  nowMs += REFRESH_COOLDOWN_MS

  await authenticator.authenticate(bearer(await issuer.sign({}, { key: next, nowMs })))
  expect(await refusalOf(authenticator, stolen)).toEqual(
    unauthorized('the token is signed with a key that its issuer does not publish'),
  )
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
