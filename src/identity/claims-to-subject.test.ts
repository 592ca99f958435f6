import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StatusError } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { subjectMapper } from './claims-to-subject.ts'
import type { ClaimMappings } from './issuer-options.ts'
import { isReservedName, MAX_GROUPS } from './subject-name.ts'
import type { Claims } from './unverified-token.ts'

function subjectFromClaims(claims: Claims, mappings: ClaimMappings): Subject {
  return subjectMapper(mappings)({ claims, cel: null })
}

const byEmail: ClaimMappings = {
  username: { claim: 'email', prefix: '' },
  groups: { claim: 'groups', prefix: '' },
}
const byName: ClaimMappings = {
  username: { claim: 'name', prefix: 'sso:' },
  groups: { claim: 'groups', prefix: 'sso:' },
}
const ana = { email: 'ana@example.com', email_verified: true, name: 'ana' }

describe('a subject', () => {
  test('has the mapped claims, prefixed', () => {
    expect(subjectFromClaims({ ...ana, groups: ['dev', 'ops'] }, byName)).toEqual({
      username: 'sso:ana',
      uid: '',
      groups: ['sso:dev', 'sso:ops'],
      extra: {},
    })
  })

  test('has uid and extra when they are mapped', () => {
    const mappings = {
      ...byEmail,
      uid: { claim: 'sub' },
      extra: [
        { key: 'team', claim: 'team' },
        { key: 'floor', claim: 'floor' },
      ],
    }
    const subject = subjectFromClaims({ ...ana, sub: 'person-ana', team: ['red', 'blue'] }, mappings)
    expect(subject.uid).toBe('person-ana')
    expect(subject.extra).toEqual({ team: ['red', 'blue'] })
    expect(Object.getPrototypeOf(subject.extra)).toBeNull()
  })

  test('has a group once, in the order of the token', () => {
    expect(subjectFromClaims({ ...ana, groups: ['b', 'a', 'b'] }, byEmail).groups).toEqual(['b', 'a'])
  })

  test('cannot be changed', () => {
    const subject = subjectFromClaims({ ...ana, groups: ['a'] }, byEmail)
    expect([subject, subject.groups, subject.extra].every(Object.isFrozen)).toBe(true)
  })

  test.for([
    ['no claim', undefined, []],
    ['null', null, []],
    ['one text', 'dev', ['dev']],
    ['an empty list', [], []],
    ['a list', ['dev', 'a,b', 'Über uns', 'كِتَاب'], ['dev', 'a,b', 'Über uns', 'كِتَاب']],
  ] as const)('has the groups of %s', ([, groups, expected]) => {
    expect(subjectFromClaims({ ...ana, groups }, byEmail).groups).toEqual(expected)
  })

  test('may lack email_verified, as Entra ID leaves it out', () => {
    expect(subjectFromClaims({ email: 'ana@example.com' }, byEmail).username).toBe('ana@example.com')
  })
})

describe('claims are refused', () => {
  test.for([
    ['without the username claim', { email: undefined }, 'no usable "email" claim'],
    ['with a username that is a list', { email: ['ana@example.com'] }, 'no usable "email" claim'],
    ['with an e-mail that is not verified', { email_verified: false }, 'not verified'],
    ['with email_verified as text', { email_verified: 'true' }, 'not verified'],
    ['with email_verified as "false"', { email_verified: 'false' }, 'not verified'],
    ['with email_verified as a number', { email_verified: 1 }, 'not verified'],
    ['with email_verified null', { email_verified: null }, 'not verified'],
    ['with two @', { email: 'ana@example.com@evil.example' }, 'not a plain one'],
    ['without @', { email: 'ana' }, 'not a plain one'],
    ['with nothing before @', { email: '@example.com' }, 'not a plain one'],
    ['with a domain that looks like another', { email: 'ana@exаmple.com' }, 'not a plain one'],
    ['with a full-width @', { email: 'ana＠example.com' }, 'not a plain one'],
    ['with a space in the e-mail', { email: 'ana @example.com' }, 'not a plain one'],
    ['with a line break in the e-mail', { email: 'ana@example.com\r\nImpersonate-User: admin' }, 'not a plain one'],
    ['with an empty e-mail', { email: '' }, 'not a plain one'],
    ['with groups as a number', { groups: 7 }, 'is not a list of text'],
    ['with groups as an object', { groups: { dev: true } }, 'is not a list of text'],
    ['with groups in lists', { groups: [['dev']] }, 'is not a list of text'],
    ['with a group that is a number', { groups: ['dev', 7] }, 'is not a list of text'],
    ['with a group that is null', { groups: ['dev', null] }, 'is not a list of text'],
    ['with an empty group', { groups: ['dev', ''] }, 'is empty'],
    ['with a blank group', { groups: ['\t '] }, 'is empty'],
    ['with a NUL', { groups: ['dev\0'] }, 'characters that a name cannot have'],
    ['with a line separator', { groups: ['dev\u2028ops'] }, 'characters that a name cannot have'],
    ['with half a surrogate pair', { groups: ['dev\ud800'] }, 'characters that a name cannot have'],
    ['with a text direction override', { groups: ['dev\u202eops'] }, 'characters that a name cannot have'],
    ['with an invisible character', { groups: ['dev\u200bops'] }, 'characters that a name cannot have'],
    ['with a space at the end', { groups: ['dev '] }, 'begins or ends with a space'],
    ['with a very long group', { groups: ['x'.repeat(513)] }, 'longer than 512'],
    ['with too many groups', { groups: Array.from({ length: MAX_GROUPS + 1 }, (_, n) => `g${n}`) }, 'more than 1000'],
    ['with the group of all masters', { groups: ['dev', 'system:masters'] }, 'reserved for Kubernetes'],
    ['with a reserved group in another case', { groups: ['System:Masters'] }, 'reserved for Kubernetes'],
    ['with the group of kubeadm', { groups: ['kubeadm:cluster-admins'] }, 'reserved for Kubernetes'],
    ['with groups kept elsewhere', { _claim_names: { groups: 'src1' } }, 'left your groups out'],
    [
      'with groups kept elsewhere and some here',
      { groups: ['dev'], _claim_names: { groups: 'src1' } },
      'left your groups out',
    ],
    ['with _claim_names of odd type', { _claim_names: 'groups' }, 'left your groups out'],
    ['with a hint that there are more groups', { hasgroups: true }, 'left your groups out'],
  ] as const)('%s', ([, changed, sentence]) => {
    expect(() => subjectFromClaims({ ...ana, ...changed }, byEmail)).toThrow(sentence)
  })

  test.for([
    ['the username', { name: 'admin' }, { username: { claim: 'name', prefix: 'system:' } }],
    ['the username, by parts', { name: 'tem:admin' }, { username: { claim: 'name', prefix: 'sys' } }],
    ['a group', { groups: ['masters'] }, { groups: { claim: 'groups', prefix: 'system:' } }],
  ] as const)('when the prefix makes %s a reserved name', ([, changed, mappings]) => {
    expect(() => subjectFromClaims({ ...ana, ...changed }, { ...byEmail, ...mappings })).toThrow(
      'reserved for Kubernetes',
    )
  })

  test('when an empty username would become its prefix alone', () => {
    expect(() => subjectFromClaims({ name: '' }, byName)).toThrow('the "name" claim of the token is empty')
  })

  test('when _claim_names takes a mapped extra claim, but not for any other', () => {
    const mappings = { ...byEmail, extra: [{ key: 'team', claim: 'team' }] }
    expect(() => subjectFromClaims({ ...ana, _claim_names: { team: 'src1' } }, mappings)).toThrow(
      'left your groups out',
    )
    expect(subjectFromClaims({ ...ana, _claim_names: { wids: 'src1' } }, mappings).extra).toEqual({})
  })
})

test('whatever the claims, the subject has fit names or there is none', () => {
  const text = fc.oneof(
    fc.array(fc.nat(0xffff), { maxLength: 4 }).map((units) => String.fromCharCode(...units)),
    fc.constantFrom('system:masters', 'ana', ' ', '\ud800', '\u200e'),
  )
  const odd = fc.jsonValue({ maxDepth: 1 })
  const claims = fc.record(
    {
      name: fc.oneof(text, odd),
      groups: fc.oneof(fc.array(text, { maxLength: 4 }), odd),
      email: text,
      _claim_names: odd,
    },
    { requiredKeys: [] },
  )
  const isUnfit = (name: string): boolean =>
    name.trim() !== name ||
    name === '' ||
    !name.isWellFormed() ||
    isReservedName(name) ||
    /[\p{Cc}\p{Bidi_C}]/u.test(name)
  const byPlainName: ClaimMappings = { ...byEmail, username: { claim: 'name', prefix: '' } }
  fc.assert(
    fc.property(claims, fc.constantFrom(byEmail, byName, byPlainName), (all, mappings) => {
      let names: readonly string[] = []
      try {
        const subject = subjectFromClaims(all, mappings)
        names = [subject.username, ...subject.groups]
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
      }
      expect(names.filter(isUnfit)).toEqual([])
    }),
  )
})
