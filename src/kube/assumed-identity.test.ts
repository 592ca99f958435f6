import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAssumedIdentity } from './assumed-identity.ts'
import { StatusError } from './status.ts'

const pieces = (headers: readonly string[]) =>
  parseAssumedIdentity(headers)?.checks.map(({ apiGroup, resource, subresource, namespace, name }) =>
    [apiGroup, resource, subresource, namespace, name].filter((part) => part !== '').join(' '),
  )

describe('an identity that a client asks to assume', () => {
  it('is none without a header for it', () => {
    expect(parseAssumedIdentity(['Accept', '*/*', 'Impersonated', 'x'])).toBeNull()
  })

  it('is checked piece by piece', () => {
    const headers = [
      ...['impersonate-user', 'Zo\u00c3\u00ab', 'Impersonate-Group', 'a,b', 'IMPERSONATE-GROUP', 'system:masters'],
      ...['Impersonate-Uid', '7', 'Impersonate-Extra-Example.com%2FTeam', 'red'],
    ]
    expect(parseAssumedIdentity(headers)?.subject).toEqual({
      username: 'Zoë',
      uid: '7',
      groups: ['a,b', 'system:masters'],
      extra: { 'example.com/team': ['red'] },
    })
    expect(pieces(headers)).toEqual([
      'users Zoë',
      'authentication.k8s.io uids 7',
      'groups a,b',
      'groups system:masters',
      'authentication.k8s.io userextras example.com/team red',
    ])
  })

  it('of a service account is that service account, with its groups', () => {
    const headers = ['Impersonate-User', 'system:serviceaccount:shop:robot']
    expect(pieces(headers)).toEqual(['serviceaccounts shop robot'])
    expect(parseAssumedIdentity(headers)?.subject.groups).toEqual([
      'system:serviceaccounts',
      'system:serviceaccounts:shop',
    ])
  })

  it.each([
    ['groups without a user', ['Impersonate-Group', 'a']],
    ['an empty user', ['Impersonate-User', '']],
    ['two users', ['Impersonate-User', 'a', 'Impersonate-User', 'b']],
    ['a header of later', ['Impersonate-User', 'a', 'Impersonate-Tenant', 'b']],
    ['bytes that are not UTF-8', ['Impersonate-User', '\xff']],
    ['an extra without a key', ['Impersonate-User', 'a', 'Impersonate-Extra-', 'b']],
    ['a malformed key', ['Impersonate-User', 'a', 'Impersonate-Extra-%zz', 'b']],
    ['too many', ['Impersonate-User', 'a', ...Array.from({ length: 64 }, () => ['Impersonate-Group', 'g']).flat()]],
  ])('is refused with %s', (_, headers) => {
    expect(() => parseAssumedIdentity(headers)).toThrow(StatusError)
  })

  it('throws nothing but a StatusError, and never loses the user', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('User', 'Group', 'Uid', 'Extra-x', 'Extra-%2f'), fc.string())),
        (given) => {
          const headers = given.flatMap(([name, value]) => [`Impersonate-${name}`, value])
          try {
            const identity = parseAssumedIdentity(headers)
            if (headers.length > 0) expect(identity?.subject.username).not.toBe('')
          } catch (error) {
            expect(error).toBeInstanceOf(StatusError)
          }
        },
      ),
    )
  })
})
