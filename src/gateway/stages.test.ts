import { describe, expect, it } from 'vitest'
import type { Decision } from '../policy/authorizer.ts'
import { type Authenticated, Authorized } from './stages.ts'

const decision = (effect: Decision['effect']): Decision => ({
  effect,
  rule: 'developers#1',
  location: 'policy.yaml:1',
  policyRevision: 'sha256:00',
  reason: 'because',
  nearest: [],
  obligations: {},
})

describe('an authorized request', () => {
  it('is made of an allowing decision alone', () => {
    const authenticated = {} as Authenticated
    expect(Authorized.is(Authorized.from(authenticated, decision('allow')))).toBe(true)
    expect(() => Authorized.from(authenticated, decision('deny'))).toThrow(TypeError)
    expect(() => Authorized.from(authenticated, decision('no-opinion'))).toThrow(TypeError)
  })

  it('cannot be changed, nor passed off by something that looks like it', () => {
    const authorized = Authorized.from({} as Authenticated, decision('allow'))
    expect(Object.isFrozen(authorized)).toBe(true)
    expect(Authorized.is(Object.assign({}, authorized))).toBe(false)
    expect(Authorized.is(Object.create(Authorized.prototype))).toBe(false)
  })
})
