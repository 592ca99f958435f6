import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { CLOCK_LEEWAY_SECONDS } from '../../src/identity/id-token-claims.ts'
import { attackedGateway, NAMESPACE } from '../support/attacked-gateway.ts'
import {
  type AttackedSession,
  SPDY,
  SPDY_FORWARD,
  TUNNELLED_FORWARD,
  WEBSOCKET,
  closingOf,
  endingOf,
  keptOf,
  openExec,
  openSession,
  relay,
} from '../support/attacked-sessions.ts'
import { askPortal } from '../support/portal-requests.ts'

// Attack D12.
//
// What was opened with a right goes on without it: after the token, the login or the rule is gone (CVE-2023-40025,
// CVE-2024-41666, CVE-2025-23208, CVE-2023-22650, CVE-2023-32199).

const policy = (groups: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: everything }
spec:
  subjects: { groups: [${groups}] }
  rules:
  - { verbs: ["*"], resources: ["*", "*/*"] }
`
const GRACE_SECONDS = 1
/** How late an end may be, in milliseconds. The machine that runs this may be busy. */
const LATE_MS = 2_000
const STREAMS = [
  'exec over SPDY',
  'exec over a WebSocket',
  'port-forward',
  'tunnelled port-forward',
  'watch',
  'log',
] as const
type Stream = (typeof STREAMS)[number]

const attacked = attackedGateway({
  policy: policy('payments-dev, guests, "machines:payments-dev"'),
  adjust: (document) => ({
    ...document,
    identity: {
      ...document.identity,
      serviceAccounts: [{ socket: 'production', audiences: ['machines'], prefix: 'machines:' }],
    },
  }),
  recordings: { store: { directory: 'recordings' } },
  limits: { expiredTokenGrace: `${GRACE_SECONDS}s` },
})

/** One that is open: what ends it for its client. */
interface Open {
  readonly ended: Promise<{ readonly atMs: number; readonly told: string }>
  readonly isOpen: () => boolean
  close(): void
}

async function open(kind: Stream, token: string): Promise<Open> {
  if (kind === 'watch' || kind === 'log') return openResponse(kind, token)
  if (kind === 'exec over SPDY') return sessionOf(await openExec(attacked, SPDY, { token }), (s) => endingOf(s, SPDY))
  if (kind === 'exec over a WebSocket') {
    return sessionOf(await openExec(attacked, WEBSOCKET, { token }), (s) => endingOf(s, WEBSOCKET))
  }
  const protocol = kind === 'port-forward' ? SPDY_FORWARD : TUNNELLED_FORWARD
  const session = await openSession(attacked, { ...protocol, target: `${NAMESPACE}/pods/web/portforward`, token })
  return sessionOf(session, (s) => closingOf(s, protocol))
}

function sessionOf(session: AttackedSession, ending: (session: AttackedSession) => Promise<string>): Open {
  const ended = once(session.client, 'data').then(async () => {
    const atMs = Date.now()
    const told = await ending(session)
    const { manifest, event } = await keptOf(attacked, session)
    expect(manifest.state).toBe('complete')
    expect(event.responseStatus?.message).toBe(manifest.outcome?.endedBy)
    return { atMs, told: `${told} ${manifest.outcome?.endedBy ?? ''}` }
  })
  ended.catch(() => undefined)
  return {
    ended,
    isOpen: () => !session.client.destroyed,
    close: () => session.client.destroy(),
  }
}

type Handler = typeof attacked.apiServer.onRequest

async function openResponse(
  kind: 'watch' | 'log',
  token: string,
  around: (handler: Handler) => Handler = (handler) => handler,
): Promise<Open> {
  attacked.apiServer.onRequest = around((_request, response) => {
    response.writeHead(200).write('{"type":"ADDED"}\n')
  })
  const target = kind === 'watch' ? `${NAMESPACE}/pods?watch=true` : `${NAMESPACE}/pods/web/log?follow=true`
  const response: IncomingMessage = await attacked.gateway.open(target, {
    anonymous: true,
    headers: { Authorization: `Bearer ${token}` },
  })
  response.resume().on('error', () => undefined)
  const ended = new Promise<{ atMs: number; told: string }>((resolve) => {
    response.once('close', () => {
      resolve({ atMs: Date.now(), told: '' })
    })
  })
  return { ended, isOpen: () => !response.closed, close: () => response.destroy() }
}

describe('the end of a login', () => {
  const endsAt = (inSeconds: number): number => Math.floor(Date.now() / 1000) + inSeconds
  /** A token that counts as expired at that time. */
  const tokenOf = (who: string, endsAtSeconds: number, named: Record<string, unknown> = {}): Promise<string> =>
    attacked.gateway.issuer.sign({
      sub: who,
      email: `${who}@example.com`,
      groups: ['payments-dev'],
      exp: endsAtSeconds - CLOCK_LEEWAY_SECONDS,
      ...named,
    })

  test('ends everything that it opened once the grace is over, and nothing whose login has a newer token', async () => {
    const endsAtSeconds = endsAt(3)
    const [expiring, refreshed] = [await tokenOf('ana', endsAtSeconds), await tokenOf('boris', endsAtSeconds)]
    const gone: Open[] = []
    const kept: Open[] = []
    for (const kind of STREAMS) {
      gone.push(await open(kind, expiring))
      kept.push(await open(kind, refreshed))
    }
    attacked.forget()
    const newer = await tokenOf('boris', endsAt(60))
    const { statusCode } = await attacked.gateway.fetch(`${NAMESPACE}/pods`, {
      anonymous: true,
      headers: { Authorization: `Bearer ${newer}` },
    })
    expect(statusCode).toBe(200)
    const dueMs = (endsAtSeconds + GRACE_SECONDS) * 1000
    for (const { ended } of gone) {
      const { atMs, told } = await ended
      expect(atMs).toBeGreaterThanOrEqual(dueMs)
      expect(atMs).toBeLessThan(dueMs + LATE_MS)
      if (told !== '') expect(told).toContain('the login that opened it expired')
    }
    expect(kept.map(({ isOpen }) => isOpen())).toEqual(kept.map(() => true))
    for (const one of kept) one.close()
  })

  test.for<[string, string, Record<string, unknown>, Record<string, unknown>]>([
    ['anybody else’s newer token', 'anastasia', {}, {}],
    ['that of another session of the same person', 'ana', { sid: 'laptop' }, { sid: 'desktop' }],
    ['that of another time of signing in of theirs', 'ana', { auth_time: 1000 }, { auth_time: 2000 }],
    ['that of another sign-in of theirs at an issuer that tells its nonce', 'ana', { nonce: 'n1' }, { nonce: 'n2' }],
    ['that of the same session under another name', 'ana', { sid: 's' }, { sid: 's', email: 'root@example.com' }],
  ])('is not put off by %s', async ([, who, own, others]) => {
    const endsAtSeconds = endsAt(1)
    const session = await open('exec over SPDY', await tokenOf('ana', endsAtSeconds, own))
    const watch = await open('watch', await tokenOf('ana', endsAtSeconds, own))
    const other = await open('watch', await tokenOf(who, endsAt(60), others))
    for (const { ended } of [session, watch])
      expect((await ended).atMs).toBeLessThan((endsAtSeconds + GRACE_SECONDS) * 1000 + LATE_MS)
    expect(other.isOpen()).toBe(true)
    other.close()
  })
})

describe('the end of a machine', () => {
  /** A token of a service account, which the cluster takes to be whoever it says. */
  const tokenOf = (uid: string, expiresAtSeconds: number): Promise<string> =>
    attacked.gateway.issuer.sign({ iss: 'https://cluster.local', sub: uid, aud: 'machines', exp: expiresAtSeconds })
  /** Answers reviews, and everything else as before. */
  const reviewing =
    (next: Handler): Handler =>
    (request, response) => {
      if (request.url !== '/apis/authentication.k8s.io/v1/tokenreviews') {
        next(request, response)
        return
      }
      void text(request).then((body) => {
        const { token } = (JSON.parse(body) as { spec: { token: string } }).spec
        const user = {
          username: 'system:serviceaccount:ci:deployer',
          uid: decodeJwt(token).sub,
          groups: ['payments-dev'],
        }
        const status = { authenticated: true, audiences: ['machines'], user }
        response.writeHead(201, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }))
      })
    }
  const openWatch = (token: string): Promise<Open> => openResponse('watch', token, reviewing)

  test('is not put off by a newer token of an account that was made anew by its name', async () => {
    const endsAtSeconds = Math.floor(Date.now() / 1000) + 2
    const gone = await openWatch(await tokenOf('deleted', endsAtSeconds))
    const renewed = await openWatch(await tokenOf('anew', endsAtSeconds))
    const newer = await openWatch(await tokenOf('anew', endsAtSeconds + 60))
    const dueMs = (endsAtSeconds + GRACE_SECONDS) * 1000
    const { atMs } = await gone.ended
    expect(atMs).toBeGreaterThanOrEqual(dueMs)
    expect(atMs).toBeLessThan(dueMs + LATE_MS)
    expect([renewed.isOpen(), newer.isOpen()]).toEqual([true, true])
    for (const one of [renewed, newer]) one.close()
  })
})

test('a login that is revoked ends everything that it opened, and nothing of another login of the same person', async () => {
  const tokenOf = (sid: string): Promise<string> => attacked.gateway.issuer.sign({ sub: 'ana', sid })
  const [stolen, other] = [await tokenOf('stolen'), await tokenOf('other')]
  const gone: Open[] = []
  const kept: Open[] = []
  for (const kind of STREAMS) {
    gone.push(await open(kind, stolen))
    kept.push(await open(kind, other))
  }
  const revokedAtMs = Date.now()
  const path = '/apis/postern.dev/v1alpha1/logins/current?reason=stolen'
  expect((await askPortal(attacked.gateway, stolen, 'DELETE', path)).statusCode).toBe(200)
  for (const { ended } of gone) {
    const { atMs, told } = await ended
    expect(atMs - revokedAtMs).toBeLessThan(LATE_MS)
    if (told !== '') expect(told).toContain('this login was revoked by ana@example.com: stolen')
  }
  expect(kept.map(({ isOpen }) => isOpen())).toEqual(kept.map(() => true))
  for (const one of kept) one.close()
})

test('a group that goes ends everything that it allowed, with the next token that is seen, and nothing of others', async () => {
  const endsAtSeconds = Math.floor(Date.now() / 1000) + 120
  const tokenOf = (who: string, groups: string[], laterSeconds = 0): Promise<string> =>
    attacked.gateway.issuer.sign({ sub: who, email: `${who}@example.com`, groups, exp: endsAtSeconds + laterSeconds })
  const [left, stayed] = [await tokenOf('leaver', ['payments-dev']), await tokenOf('stayer', ['payments-dev'])]
  const gone: Open[] = []
  const kept: Open[] = []
  for (const kind of STREAMS) {
    gone.push(await open(kind, left))
    kept.push(await open(kind, stayed))
  }
  attacked.forget()
  const ask = async (token: string): Promise<number> => {
    const credential = { anonymous: true, headers: { Authorization: `Bearer ${token}` } }
    return (await attacked.gateway.fetch(`${NAMESPACE}/pods`, credential)).statusCode
  }
  expect(await ask(await tokenOf('stayer', ['guests', 'payments-dev'], 60))).toBe(200)
  const changedAtMs = Date.now()
  expect(await ask(await tokenOf('leaver', ['strangers'], 60))).toBe(403)
  for (const { ended } of gone) {
    const { atMs, told } = await ended
    expect(atMs - changedAtMs).toBeLessThan(LATE_MS)
    if (told !== '') expect(told).toContain('your groups changed, and the policy no longer allows this: ')
  }
  expect(kept.map(({ isOpen }) => isOpen())).toEqual(kept.map(() => true))
  for (const one of kept) one.close()
})

test('a rule that goes ends everything that it allowed, and nothing else', async () => {
  const guest = await attacked.gateway.issuer.sign({ sub: 'guest', email: 'guest@example.com', groups: ['guests'] })
  const gone: Open[] = []
  const kept: Open[] = []
  for (const kind of STREAMS) {
    gone.push(await open(kind, guest))
    kept.push(await open(kind, attacked.gateway.token))
  }
  const path = join(attacked.gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, policy('payments-dev'))
  await rename(`${path}.new`, path)
  const changedAtMs = Date.now()
  for (const { ended } of gone) {
    const { atMs, told } = await ended
    expect(atMs - changedAtMs).toBeLessThan(2_000 + LATE_MS)
    if (told !== '') expect(told).toContain('the policy changed and no longer allows this: ')
  }
  expect(kept.map(({ isOpen }) => isOpen())).toEqual(kept.map(() => true))
  for (const one of kept) one.close()
})

test('what a client goes on sending while its session ends is not passed', async () => {
  const guest = await attacked.gateway.issuer.sign({ email: 'ana@example.com', groups: ['payments-dev'] })
  const session = await openExec(attacked, SPDY, { token: guest })
  await relay(session, 'upstream', session.stdout('half').subarray(0, 4))
  const path = join(attacked.gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, policy('nobody'))
  await rename(`${path}.new`, path)
  await expect.poll(async () => (await attacked.gateway.fetch(`${NAMESPACE}/pods`)).statusCode).toBe(403)
  session.client.write(session.stdin('one more command\n'))
  await session.closed
  expect(session.passed().equals(session.prologue)).toBe(true)
  expect((await keptOf(attacked, session)).manifest.outcome?.endedBy).toContain('the policy changed')
})
