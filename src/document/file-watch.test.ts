import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileReload } from './file-reload.ts'
import { FileWatch } from './file-watch.ts'

let directory: string
let path: string
let watch: FileWatch | FileReload | null

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-file-watch-'))
  path = join(directory, 'f')
  await writeFile(path, 'whole')
  watch = null
})
afterEach(async () => {
  await watch?.stop()
  await rm(directory, { recursive: true })
})

/** Writes a file in place and in pieces, none of which is the last for long. */
async function writeInPieces(pieces: readonly string[]): Promise<void> {
  await writeFile(path, '')
  for (const piece of pieces) {
    await appendFile(path, piece)
    await setTimeout(40)
  }
}

async function startWatch(): Promise<{ readonly read: string[]; readonly restless: (readonly string[])[] }> {
  const read: string[] = []
  const restless: (readonly string[])[] = []
  watch = await FileWatch.start({
    paths: () => [path],
    onChange: async () => {
      read.push(await readFile(path, 'utf8'))
      return true
    },
    onRestless: (paths) => restless.push(paths),
  })
  return { read, restless }
}

test('a file that is written in pieces is told of when all are there', { timeout: 20_000 }, async () => {
  const { read } = await startWatch()
  const pieces = Array.from({ length: 40 }, (_, index) => `${index} `)
  await writeInPieces(pieces)
  await expect.poll(() => read, { timeout: 5_000 }).toEqual([pieces.join('')])
})

test('a file that is swapped for another is told of within a second', async () => {
  const { read } = await startWatch()
  const beganAt = performance.now()
  await writeFile(`${path}.new`, 'other')
  await rename(`${path}.new`, path)
  await expect.poll(() => read, { timeout: 5_000, interval: 5 }).toEqual(['other'])
  expect(performance.now() - beganAt).toBeLessThan(1_000)
})

test(
  'a file that is written all the time is told of as that, once, and read when it rests',
  { timeout: 30_000 },
  async () => {
    const { read, restless } = await startWatch()
    const rest = new AbortController()
    const writing = (async () => {
      while (!rest.signal.aborted) {
        await appendFile(path, '.')
        await setTimeout(20)
      }
    })()
    await expect.poll(() => restless, { timeout: 20_000 }).toEqual([[path]])
    expect(read).toEqual([])
    rest.abort()
    await writing
    await expect.poll(() => read.length, { timeout: 5_000 }).toBe(1)
    expect(read).toEqual([await readFile(path, 'utf8')])
    expect(restless).toHaveLength(1)
  },
)

test('whoever reads a file can ask whether it still is what rested', { timeout: 20_000 }, async () => {
  const answers: boolean[] = []
  watch = await FileWatch.start({
    paths: () => [path],
    onChange: async (unchanged) => {
      if (answers.length === 0) await writeFile(path, 'overtaken')
      answers.push(await unchanged())
      return answers.at(-1) === true
    },
    onRestless: () => {},
  })
  await writeFile(path, 'changed')
  await expect.poll(() => answers, { timeout: 10_000 }).toEqual([false, true])
})

test('what is reloaded says why it waits, and when it no longer does', { timeout: 30_000 }, async () => {
  const told: string[] = []
  watch = await FileReload.start({
    paths: () => [path],
    apply: () => Promise.resolve(),
    onRefused: (problem) => told.push(problem),
    onMended: () => told.push('mended'),
  })
  const rest = new AbortController()
  const writing = (async () => {
    while (!rest.signal.aborted) {
      await appendFile(path, '.')
      await setTimeout(20)
    }
  })()
  const problem = `${path} is being written all the time, so it is not read`
  await expect.poll(() => told, { timeout: 20_000 }).toEqual([problem])
  expect(watch.problem).toBe(problem)
  rest.abort()
  await writing
  await expect.poll(() => told, { timeout: 5_000 }).toEqual([problem, 'mended'])
})
