import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, NAMESPACE, UNAUTHORIZED } from '../support/attacked-gateway.ts'
import { SPDY, endingOf, openExec, switchedHead, upgradeHead, EXEC } from '../support/attacked-sessions.ts'
import { askPortal } from '../support/portal-requests.ts'

// Attacks D12, E24.
//
// A login that was revoked goes on: with a token that was not seen yet, with one that was refreshed since, through the
// other listener, or with what was on its way at that moment (CVE-2026-43983, CVE-2023-22650). And the other way round:
// somebody revokes the logins of others.

const attacked = attackedGateway({ policy: EVERYTHING.replace('["*", "*/*"]', '[pods, pods/*]') })

const GROUP = '/apis/postern.dev/v1alpha1/logins'
const NOBODYS = '3f0e8c1a-9a54-4f6e-8b58-0a1b2c3d4e5f'

const nowSeconds = (): number => Math.floor(Date.now() / 1000)
/** The first time after now that a token can tell: its times have no fractions, and clocks may be apart. */
const nextSecond = (): number => nowSeconds() + 1
const tokenOf = (who: string, claims: Record<string, unknown>): Promise<string> =>
  attacked.gateway.issuer.sign({ sub: who, email: `${who}@example.com`, jti: Math.random(), ...claims })
const ask = (token: string, method: string, path: string) => askPortal(attacked.gateway, token, method, GROUP + path)
const revoke = async (token: string, id = 'current'): Promise<number> =>
  (await ask(token, 'DELETE', `/${id}?reason=stolen`)).statusCode
/** Revokes the login of a token with another login of the same person. */
const revokeFromElsewhere = async (token: string, sub: string): Promise<number> => {
  const { metadata } = JSON.parse((await ask(token, 'GET', '/current')).body) as { metadata: { name: string } }
  return revoke(await tokenOf('ana', { sub, nonce: randomUUID(), iat: nowSeconds() + 3 }), metadata.name)
}
const pods = async (token: string): Promise<number> => {
  const answer = await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods`, token })
  return 'statusCode' in answer ? answer.statusCode : 0
}
const expectRevoked = async (token: string): Promise<void> => {
  attacked.forget()
  for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
    const message = /^this login was revoked by ana@example\.com: stolen; sign in again with "postern client login" \(/
    await attacked.expectRefused(answer, { ...UNAUTHORIZED, message })
  }
  for (const path of ['', '/current']) expect((await ask(token, 'GET', path)).statusCode).toBe(401)
}

describe('a revoked login', () => {
  test.for([
    ['with the session at the issuer', { sid: 's1' }],
    ['with the time of signing in', { auth_time: nowSeconds() - 60 }],
    ['with both', { sid: 's2', auth_time: nowSeconds() - 60 }],
    ['with the nonce of the sign-in', { sub: 'ana-3', nonce: 'n1' }],
  ] as const)('has no way in by any token, refreshed ones included, of an issuer %s', async ([, claims]) => {
    const [used, unused] = [await tokenOf('ana', claims), await tokenOf('ana', claims)]
    expect(await pods(used)).toBe(200)
    expect(await revoke(used)).toBe(200)
    for (const token of [used, unused, await tokenOf('ana', { ...claims, iat: nextSecond() })])
      await expectRevoked(token)
  })

  test.for([
    ['that has lost its nonce', { nonce: 'n2' }],
    ['of an issuer that tells nothing of the sign-in', {}],
  ] as const)('has no way in by a refreshed token %s, whenever that was issued', async ([, named]) => {
    const sub = `ana-${randomUUID()}`
    const used = await tokenOf('ana', { sub, ...named })
    expect(await pods(used)).toBe(200)
    const refreshedBefore = await tokenOf('ana', { sub })
    expect(await pods(refreshedBefore)).toBe(200)
    expect(await revokeFromElsewhere(used, sub)).toBe(200)
    expect(await pods(used)).toBe(401)
    expect(await pods(refreshedBefore)).toBe(401)
    for (const iat of [nowSeconds() - 5, nowSeconds(), nextSecond(), nowSeconds() + 20]) {
      attacked.forget()
      const token = await tokenOf('ana', { sub, iat })
      const message = /^a login of this person was revoked by ana@example\.com: stolen, and this token does not show /
      const answer = await attacked.send('HTTP/2', { target: `${NAMESPACE}/pods`, token })
      await attacked.expectRefused(answer, { ...UNAUTHORIZED, message })
    }
    expect(await pods(await tokenOf('ana', { sub, nonce: randomUUID(), iat: nextSecond() }))).toBe(200)
  })

  test('that its person signed out of by themselves has no way in by a token of before, and they have by a later one', async () => {
    const sub = `ana-${randomUUID()}`
    const signedOut = await tokenOf('ana', { sub, iat: nowSeconds() - 5 })
    expect(await pods(signedOut)).toBe(200)
    expect(await revoke(signedOut)).toBe(200)
    for (const token of [signedOut, await tokenOf('ana', { sub, iat: nowSeconds() - 1 })])
      expect(await pods(token)).toBe(401)
    const refreshed = await tokenOf('ana', { sub, iat: nowSeconds() + 2 })
    expect(await pods(refreshed)).toBe(200)
    expect(await revokeFromElsewhere(refreshed, sub)).toBe(200)
    expect(await pods(await tokenOf('ana', { sub, iat: nowSeconds() + 4 }))).toBe(401)
  })

  test('has no way in by the first token of its sign-in, when it was revoked by a refreshed one that names none', async () => {
    const sub = `ana-${randomUUID()}`
    const [first, unseen] = [await tokenOf('ana', { sub, nonce: 'n3' }), await tokenOf('ana', { sub, nonce: 'n4' })]
    expect(await pods(first)).toBe(200)
    expect(await revoke(await tokenOf('ana', { sub }))).toBe(200)
    for (const token of [first, unseen]) expect(await pods(token)).toBe(401)
  })

  test.for([
    ['another session at the issuer', { sid: 's3' }, () => ({ sid: 's4' })],
    ['a later time of signing in', { sid: 's5', auth_time: 1 }, () => ({ sid: 's5', auth_time: nextSecond() })],
    ['another nonce', { sub: 'ana-2', nonce: 'n5' }, () => ({ sub: 'ana-2', nonce: 'n6' })],
  ] as const)('does not keep its person from signing in again: %s', async ([, first, later]) => {
    const before = await tokenOf('ana', { ...first, iat: nowSeconds() - 1 })
    expect(await revoke(before)).toBe(200)
    const after = await tokenOf('ana', { iat: nextSecond(), ...later() })
    expect(await pods(after)).toBe(200)
    await expectRevoked(before)
  })

  test('does not come back with what was on its way when it was revoked', async () => {
    const token = await tokenOf('ana', { sid: 's6' })
    const dialled = Promise.withResolvers<() => void>()
    attacked.apiServer.onUpgrade = (_request, socket) => {
      dialled.resolve(() => socket.write(switchedHead(SPDY), 'latin1'))
    }
    const client = await attacked.connect()
    client.write(upgradeHead(attacked, { ...SPDY, target: EXEC, token }), 'latin1')
    const agree = await dialled.promise
    expect(await revoke(token)).toBe(200)
    const closed = once(client, 'close')
    client.resume()
    const agreedAtMs = Date.now()
    agree()
    await closed
    expect(Date.now() - agreedAtMs).toBeLessThan(4_000)
  })

  test('tells the person in the session why it ended', async () => {
    const token = await tokenOf('ana', { sid: 's7' })
    const session = await openExec(attacked, SPDY, { token })
    expect(await revoke(token)).toBe(200)
    expect(await endingOf(session, SPDY)).toMatch(/^this login was revoked by ana@example\.com: stolen \(audit id /)
  })

  test('is not brought back by being revoked again, nor is its reason', async () => {
    const [used, other] = [await tokenOf('ana', { sid: 's8' }), await tokenOf('ana', { sid: 's9' })]
    const { body } = await ask(used, 'GET', '/current')
    const { name } = (JSON.parse(body) as { metadata: { name: string } }).metadata
    expect(await revoke(used)).toBe(200)
    expect((await ask(other, 'DELETE', `/${name}?reason=mistake`)).statusCode).toBe(200)
    await expectRevoked(used)
  })
})

test('the sign-outs of one person take nobody’s place, however many, and all of them hold', async () => {
  const tokens: string[] = []
  for (let i = 0; i < 150; i += 1) {
    const token = await tokenOf('mallory', { sid: `m${i}` })
    expect(await revoke(token)).toBe(200)
    tokens.push(token)
  }
  const boris = await tokenOf('boris', { sid: 'b3', groups: [] })
  expect((await ask(boris, 'GET', '/current')).statusCode).toBe(200)
  for (const token of tokens) expect((await ask(token, 'GET', '/current')).statusCode).toBe(401)
  const { items } = JSON.parse((await ask(await tokenOf('mallory', { sid: 'm' }), 'GET', '')).body) as {
    items: unknown[]
  }
  expect(items).toHaveLength(100)
})

describe('the login of somebody else', () => {
  test('does not exist, whatever is asked of it', async () => {
    const [ana, boris] = [await tokenOf('ana', { sid: 'a1' }), await tokenOf('boris', { sid: 'b1', groups: [] })]
    const { name: id } = (JSON.parse((await ask(ana, 'GET', '/current')).body) as { metadata: { name: string } })
      .metadata
    const plain = ({ statusCode, body }: { statusCode: number; body: string }): string =>
      `${statusCode} ${body.replaceAll(/[0-9a-f-]{36}/g, 'ID')}`
    for (const [method, query] of [
      ['GET', ''],
      ['HEAD', ''],
      ['DELETE', ''],
      ['DELETE', '?reason=x'],
    ] as const) {
      const others = await ask(boris, method, `/${id}${query}`)
      expect(others.statusCode).toBe(404)
      expect(plain(others)).toBe(plain(await ask(boris, method, `/${NOBODYS}${query}`)))
      expect((await ask('', method, `/${id}${query}`)).statusCode).toBe(401)
    }
    expect((await ask(boris, 'GET', '')).body).not.toContain(id)
    expect(await pods(ana)).toBe(200)
  })

  test.for(['..', '%2e%2e', '__proto__', 'CURRENT', `${NOBODYS}/current`, 'a'.repeat(10_000)])(
    'is not named by %s',
    async (id) => {
      const boris = await tokenOf('boris', { sid: 'b2' })
      expect([400, 404, 405, 414, 431]).toContain((await ask(boris, 'DELETE', `/${id}`)).statusCode)
      expect(await pods(boris)).toBe(200)
    },
  )
})
