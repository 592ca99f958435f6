import { describe, expect, test } from 'vitest'
import type { LiveSession } from '../client/portal.ts'
import { chooseSession } from './session-choice.ts'

const session = (name: string): LiveSession => ({
  kind: 'Session',
  metadata: { name },
  spec: {
    kind: 'exec',
    socket: 'production',
    namespace: 'default',
    pod: 'web',
    container: '',
    command: [],
    tty: true,
    username: 'ana@example.com',
    groups: [],
    impersonatedUsername: '',
    sourceIP: '10.0.0.9',
    rule: 'p#1',
    record: 'required',
    auditId: '',
    startedAtMs: 0,
  },
  status: { lastActivityTime: '2026-07-01T08:00:00.000Z', sentBytes: 0, receivedBytes: 0, recording: true },
})

const ONE = '5c1f7a2e-0000-4000-8000-000000000001'
const TWO = '5c1f7a2e-0000-4000-8000-000000000002'
const OTHER = '9be01d44-0000-4000-8000-000000000003'
const sessions = [ONE, TWO, OTHER].map(session)

describe('a session is named', () => {
  test.for([
    ['9', OTHER],
    ['9be01d44', OTHER],
    [ONE, ONE],
  ] as const)('by %s', ([beginning, id]) => {
    expect(chooseSession(sessions, beginning)).toMatchObject({ id, session: { metadata: { name: id } } })
  })

  test('by a whole id, even one that is not seen', () => {
    const unseen = 'aaaaaaaa-0000-4000-8000-000000000004'
    expect(chooseSession(sessions, unseen)).toEqual({ id: unseen, session: null })
  })

  test.for([
    ['5c1f7a2e', '2 sessions begin with 5c1f7a2e'],
    ['a', 'you see no session that begins with a'],
    ['', 'is no id'],
    ['../recordings', 'is no id'],
    [`${ONE}0`, 'is no id'],
  ] as const)('by %j not at all', ([beginning, message]) => {
    expect(() => chooseSession(sessions, beginning)).toThrow(
      expect.objectContaining({ code: 'BadArgument', message: expect.stringContaining(message) as string }),
    )
  })
})
