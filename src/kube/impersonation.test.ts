import { describe, expect, test } from 'vitest'
import { MAX_IMPERSONATION_BYTES, impersonationHeaders } from './impersonation.ts'
import { StatusError } from './status.ts'
import type { Subject } from './subject.ts'

function subject(part: Partial<Subject>): Subject {
  return { username: 'ana', uid: '', groups: [], extra: {}, ...part }
}

describe('a subject is written out', () => {
  test('with each group and each value on a line of its own', () => {
    expect(
      impersonationHeaders({
        username: 'ana@example.com',
        uid: 'u-1',
        groups: ['dev', 'a,b', 'dev ops'],
        extra: { team: ['x', 'y'], 'example.com/ü%': [''], none: [] },
      }),
    ).toStrictEqual([
      ...['Impersonate-User', 'ana@example.com', 'Impersonate-Uid', 'u-1'],
      ...['Impersonate-Group', 'dev', 'Impersonate-Group', 'a,b', 'Impersonate-Group', 'dev ops'],
      ...[
        'Impersonate-Extra-team',
        'x',
        'Impersonate-Extra-team',
        'y',
        'Impersonate-Extra-example.com%2F%C3%BC%25',
        '',
      ],
    ])
  })

  test('with nothing but a name when there is nothing else', () => {
    expect(impersonationHeaders(subject({}))).toStrictEqual(['Impersonate-User', 'ana'])
  })

  test('in UTF-8, so that no two subjects meet in one', () => {
    const [, composed = ''] = impersonationHeaders(subject({ username: 'Jos\u00e9' }))
    const [, decomposed = ''] = impersonationHeaders(subject({ username: 'Jose\u0301' }))
    expect(Buffer.from(composed, 'latin1').toString('utf8')).toBe('Jos\u00e9')
    expect(Buffer.from(decomposed, 'latin1').toString('utf8')).toBe('Jose\u0301')
  })
})

describe('a subject that would arrive as another is refused', () => {
  test.each([
    ['an empty username', { username: '' }],
    ['a username of blanks', { username: '  ' }],
    ['a blank before the username', { username: ' ana' }],
    ['a blank behind the username', { username: 'ana ' }],
    ['a tab in the username', { username: 'a\tna' }],
    ['a header in the username', { username: 'ana\r\nImpersonate-Group: system:masters' }],
    ['a NUL in the username', { username: 'ana\0' }],
    ['half a character in the username', { username: 'ana\ud800' }],
    ['an empty group', { groups: ['dev', ''] }],
    ['a blank behind a group', { groups: ['dev '] }],
    ['a line break in a group', { groups: ['dev\nops'] }],
    ['half a character in a group', { groups: ['\udc00'] }],
    ['a line break in the uid', { uid: 'a\nb' }],
    ['an empty key', { extra: { '': ['a'] } }],
    ['a key in upper case', { extra: { Team: ['a'] } }],
    ['half a character in a key', { extra: { 'a\ud800': ['a'] } }],
    ['a line break in a value', { extra: { team: ['a\r\nb'] } }],
    ['more groups than there is room for', { groups: Array<string>(10_000).fill('a-group-of-some-length') }],
    ['a username longer than there is room for', { username: 'x'.repeat(MAX_IMPERSONATION_BYTES) }],
  ])('%s', (_name, part) => {
    expect(() => impersonationHeaders(subject(part))).toThrow(StatusError)
    expect(() => impersonationHeaders(subject(part))).toThrow('cannot be impersonated')
  })

  test('but a thousand groups are not too many', () => {
    const groups = Array.from({ length: 1_000 }, (_, index) => `oidc:engineering/department-${index}/readers`)
    expect(impersonationHeaders(subject({ groups }))).toHaveLength(2 + 2 * 1_000)
  })
})
