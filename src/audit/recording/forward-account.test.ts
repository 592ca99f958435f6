import { expect, test } from 'vitest'
import { ForwardAccount } from './forward-account.ts'

test('connections are listed with what they carried', () => {
  const account = new ForwardAccount()
  account.opened(1, 5432, 10)
  account.opened(2, 80, 20)
  account.passed(1, 'sent', 100)
  account.passed(1, 'received', 300)
  account.passed(1, 'sent', 1)
  account.failed(2, 'connection refused')
  expect(account.closed(1, 50)).toMatchObject({ closedAtMs: 50 })
  expect(account.closed(1, 60)).toBeUndefined()
  expect(account.listed).toEqual([
    { port: 5432, sentBytes: 101, receivedBytes: 300, openedAtMs: 10, closedAtMs: 50, error: '' },
    { port: 80, sentBytes: 0, receivedBytes: 0, openedAtMs: 20, closedAtMs: null, error: 'connection refused' },
  ])
})

test('connections beyond the bound are counted, and known while they are open', () => {
  const account = new ForwardAccount()
  for (let i = 1; i <= 10_003; i++) account.opened(i, 80, 0)
  account.passed(10_002, 'sent', 5)
  expect(account.listed).toHaveLength(10_000)
  expect(account.dropped).toBe(3)
  expect(account.closed(10_002, 1)).toMatchObject({ port: 80, sentBytes: 5, closedAtMs: 1 })
  expect(account.closed(10_002, 2)).toBeUndefined()
  account.passed(10_002, 'sent', 5)
  expect([...account.unlisted.keys()]).toEqual([10_001, 10_003])
})
