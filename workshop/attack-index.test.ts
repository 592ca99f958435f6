import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MUTATIONS } from './mutations.ts'

const FOLDER = 'test/security'
const page = readFileSync(`${FOLDER}/README.md`, 'utf8')
const tests = readdirSync(FOLDER).filter((file) => file.endsWith('.ts'))

/** Highest number of each group of attacks. */
const LAST = { A: 22, B: 19, C: 17, D: 19, E: 30, F: 8, G: 8, H: 16, I: 10 }

interface Row {
  readonly id: string
  readonly attack: string
  readonly does: string
  /** The fourth cell: links to tests, or why there are none. */
  readonly heldBy: string
  /** Paths of the tests. */
  readonly files: readonly string[]
}

const rows: readonly Row[] = page.split('\n').flatMap((line) => {
  const [, id = '', attack = '', does = '', heldBy = ''] = line.split('|').map((cell) => cell.trim())
  const files = [...heldBy.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => normalize(join(FOLDER, path)))
  return /^[A-I]\d+$/.test(id) ? [{ id, attack, does, heldBy, files }] : []
})

test('every attack has its row, once and in order', () => {
  const ids = Object.entries(LAST).flatMap(([group, last]) =>
    Array.from({ length: last }, (_, i) => `${group}${i + 1}`),
  )
  expect(rows.map(({ id }) => id)).toEqual(ids)
})

test('every row says what is tried, what is done about it, and by which test it is held or why by none', () => {
  expect(rows.filter(({ attack, does, heldBy }) => attack === '' || does === '' || heldBy === '')).toEqual([])
  const reasons = rows.filter(({ files }) => files.length === 0).map(({ heldBy }) => heldBy)
  expect(reasons.filter((reason) => !/^(?:waits for|cannot apply:|no test:) ./.test(reason))).toEqual([])
})

test('every file that is named exists', () => {
  const named = rows.flatMap(({ files }) => files)
  expect(named.filter((path) => !existsSync(path))).toEqual([])
})

describe('the head of a file says what it is a test of:', () => {
  const named = rows.flatMap(({ files }) => files)
  const files = new Set([...named, ...tests.map((file) => `${FOLDER}/${file}`)])

  test.each([...files].toSorted())('%s', (file) => {
    const expected = rows.filter((row) => row.files.includes(file)).map(({ id }) => id)
    const [, said = ''] = /^\/\/ Attacks? ([A-I\d, ]+)\.$/m.exec(readFileSync(file, 'utf8')) ?? []
    expect(expected).not.toEqual([])
    expect(said.split(', ')).toEqual(expected)
  })
})

test('every way to break the gateway that is tried is told of', () => {
  const [, results = ''] = page.split('## What fails when the gateway is broken')
  const told = results.split('\n').map((line) => line.split(/(?<!\\)\|/)[1]?.trim())
  expect(MUTATIONS.map(({ name }) => name).filter((name) => !told.includes(name))).toEqual([])
})
