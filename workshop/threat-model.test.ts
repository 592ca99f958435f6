import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const page = readFileSync('docs/threat-model.md', 'utf8')
const named = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => resolve('docs', path))
const rows = page.split('\n').flatMap((line) => {
  const [, id = '', attack = '', does = '', heldBy = ''] = line.split('|').map((cell) => cell.trim())
  return /^[A-I]\d+$/.test(id) ? [{ id, attack, does, heldBy }] : []
})

/** Highest number of each group of attacks. */
const LAST = { A: 22, B: 19, C: 17, D: 19, E: 30, F: 8, G: 8, H: 16, I: 10 }

test('every file that the threat model names exists', () => {
  expect(named.filter((path) => !existsSync(path))).toEqual([])
})

test('every test of an attack is named in it', () => {
  const files = readdirSync('test/security').map((file) => resolve('test/security', file))
  expect(files.filter((path) => !named.includes(path))).toEqual([])
})

test('every attack has its row, once and in order', () => {
  const ids = Object.entries(LAST).flatMap(([group, last]) =>
    Array.from({ length: last }, (_, i) => `${group}${i + 1}`),
  )
  expect(rows.map(({ id }) => id)).toEqual(ids)
})

test('every row says what is tried and what is done about it', () => {
  expect(rows.filter(({ attack, does }) => attack === '' || does === '')).toEqual([])
})
