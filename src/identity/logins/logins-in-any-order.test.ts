import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LoginStage, START_SECONDS } from '../../../test/support/login-stage.ts'
import type { Login } from './login.ts'

/** How issuers name the sign-in in their tokens: those of the sign-in itself, and refreshed ones. */
const ISSUERS = {
  sid: (n: number) => ({ sid: `s${n}` }),
  auth_time: (_n: number, atSeconds: number) => ({ auth_time: atSeconds }),
  'both, in one session': (_n: number, atSeconds: number) => ({ sid: 's', auth_time: atSeconds }),
  'nonce, kept': (n: number) => ({ nonce: `n${n}` }),
  'nonce, dropped by a refresh': (n: number, _atSeconds: number, refreshed: boolean) =>
    refreshed ? {} : { nonce: `n${n}` },
  nothing: () => ({}),
} as const

/** One person at one kind of issuer, who does what they like; and which of their sign-ins were revoked. */
class Busybody {
  stage: LoginStage
  readonly #kind: keyof typeof ISSUERS
  readonly #signIns: { atSeconds: number; tokens: Record<string, unknown>[]; revoked: boolean }[] = []

  constructor(stage: LoginStage, kind: keyof typeof ISSUERS) {
    this.stage = stage
    this.#kind = kind
    this.signIn()
  }

  signIn(): void {
    this.#signIns.push({ atSeconds: this.stage.nowSeconds, tokens: [], revoked: false })
    this.#issue(this.#signIns.length - 1, false)
  }

  refresh(which: number): void {
    this.#issue(which % this.#signIns.length, true)
  }

  /** @param which of the sign-ins, and of its tokens: what is not seen may never come. */
  comes(which: number): Login | undefined {
    const tokens = this.#signIns[which % this.#signIns.length]?.tokens ?? []
    const token = tokens[which % tokens.length]
    return token === undefined || this.stage.refusal(token) !== '' ? undefined : this.stage.enter(token)
  }

  async revoke(which: number): Promise<void> {
    const login = this.comes(which)
    const signIn = this.#signIns[which % this.#signIns.length]
    if (login === undefined || signIn === undefined) return
    await this.stage.logins.revoke(login, 'omar', 'stolen')
    signIn.revoked = true
  }

  /** Every token that a revocation should keep out, those included that its refresh token still gets. */
  dead(): Record<string, unknown>[] {
    this.stage.nowSeconds += 1
    return this.#signIns.flatMap(({ revoked, tokens }, n) => {
      if (revoked) this.#issue(n, true)
      return revoked ? tokens : []
    })
  }

  #issue(n: number, refreshed: boolean): void {
    const signIn = this.#signIns[n]
    const named = ISSUERS[this.#kind](n, signIn?.atSeconds ?? 0, refreshed)
    signIn?.tokens.push({ iat: this.stage.nowSeconds, ...named })
  }
}

const kinds = fc.constantFrom(...(Object.keys(ISSUERS) as (keyof typeof ISSUERS)[]))
const step = fc.tuple(fc.constantFrom('sign in', 'refresh', 'comes', 'revoke', 'restart', 'wait'), fc.nat({ max: 50 }))
async function take(busybody: Busybody, [what, which]: readonly [string, number]): Promise<void> {
  busybody.stage.nowSeconds += 1
  if (what === 'sign in') busybody.signIn()
  if (what === 'refresh') busybody.refresh(which)
  if (what === 'comes') busybody.comes(which)
  if (what === 'revoke') await busybody.revoke(which)
  if (what === 'restart') busybody.stage = busybody.stage.restarted()
  // Up to three hours, in which tokens end.
  if (what === 'wait') busybody.stage.nowSeconds += which * 216
}

test.each([
  ['', {}],
  [', though hardly any is remembered one by one', { maxLogins: 4, maxLoginsOfPerson: 3, maxCutoffsOfPerson: 2 }],
])('no order of sign-ins, refreshes, revocations and restarts lets in a revoked sign-in%s', async (_, options) => {
  await fc.assert(
    fc.asyncProperty(kinds, fc.array(step, { maxLength: 60 }), async (kind, steps) => {
      const busybody = new Busybody(new LoginStage(options), kind)
      for (const one of steps) await take(busybody, one)
      for (const token of busybody.dead()) {
        expect(busybody.stage.refusal(token)).toMatch(/^401 /)
        expect(busybody.stage.restarted().refusal(token)).toMatch(/^401 /)
      }
    }),
    { numRuns: 300 },
  )
})

test('nothing that one person does takes the place of another, while there are fewer people than logins', async () => {
  const options = { maxLogins: 5, maxLoginsOfPerson: 4, maxCutoffsOfPerson: 3 }
  await fc.assert(
    fc.asyncProperty(kinds, fc.array(step, { maxLength: 60 }), fc.nat({ max: 60 }), async (kind, steps, early) => {
      const busybody = new Busybody(new LoginStage(options), kind)
      const others = ['boris', 'chen', 'dora', 'emma'].map((sub) => ({ sub, sid: 's', auth_time: START_SECONDS }))
      for (const [i, one] of steps.entries()) {
        if (i === early) expect(busybody.stage.refusal(others[0])).toBe('')
        await take(busybody, one)
      }
      for (const other of others) expect(busybody.stage.refusal(other)).toBe('')
      for (const other of others) expect(busybody.stage.enter(other).revocation).toBeNull()
    }),
    { numRuns: 300 },
  )
})

test('who signs in anew in a browser comes in again, whatever was revoked before', async () => {
  await fc.assert(
    fc.asyncProperty(kinds, fc.array(step, { maxLength: 40 }), async (kind, steps) => {
      const busybody = new Busybody(new LoginStage(), kind)
      for (const one of steps) await take(busybody, one)
      busybody.stage.nowSeconds += 1
      const fresh = { iat: busybody.stage.nowSeconds, nonce: 'fresh' }
      const named = ISSUERS[kind](999, busybody.stage.nowSeconds, false)
      expect(busybody.stage.refusal({ ...fresh, ...named })).toBe('')
    }),
    { numRuns: 200 },
  )
})
