import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { S3Uploads, withFileParts } from './s3-uploads.ts'

describe('uploads', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('go on with the others when one fails, and come back to it', async () => {
    const tried: string[] = []
    const problems: string[] = []
    let broken = true
    const uploads = new S3Uploads(
      (id) => {
        tried.push(id)
        return broken && id === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve()
      },
      ({ message }) => problems.push(message),
    )
    for (const id of ['bad', 'a', 'b']) uploads.add(id)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(tried.slice(0, 4)).toEqual(['bad', 'a', 'b', 'bad'])
    broken = false
    await vi.advanceTimersByTimeAsync(60_000)
    expect(tried.filter((id) => id !== 'bad')).toEqual(['a', 'b'])
    const times = tried.length
    await vi.advanceTimersByTimeAsync(600_000)
    expect(tried).toHaveLength(times)
    await uploads.end(AbortSignal.abort())
  })

  it('wait longer after each failure in a row, and tell of the first', async () => {
    const triedAtMs: number[] = []
    const problems: string[] = []
    const start = Date.now()
    const uploads = new S3Uploads(
      () => {
        triedAtMs.push(Date.now() - start)
        return Promise.reject(new Error('away'))
      },
      ({ message }) => problems.push(message),
    )
    uploads.add('a')
    await vi.advanceTimersByTimeAsync(3_600_000)
    const seconds = triedAtMs.map((ms) => ms / 1000)
    expect(seconds.slice(0, 5)).toEqual([0, 1, 3, 7, 15])
    expect((seconds.at(-1) ?? 0) - (seconds.at(-2) ?? 0)).toBe(300)
    expect(problems).toHaveLength(1)
    await uploads.end(AbortSignal.abort())
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(triedAtMs).toHaveLength(seconds.length)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('leave out what was cancelled', async () => {
    const tried: string[] = []
    const uploads = new S3Uploads(
      (id) => {
        tried.push(id)
        return Promise.resolve()
      },
      () => undefined,
    )
    for (const id of ['a', 'b', 'c']) uploads.add(id)
    await uploads.cancel('b')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(tried).toEqual(['a', 'c'])
    await uploads.end(AbortSignal.abort())
  })
})

describe('uploads that are ended', () => {
  it('are several at a time, and those that failed come again after a second', async () => {
    const uploaded: string[] = []
    let [underWay, most, broken] = [0, 0, true]
    const uploads = new S3Uploads(
      async (id) => {
        underWay += 1
        most = Math.max(most, underWay)
        await new Promise(setImmediate)
        underWay -= 1
        if (broken && id === 'bad') throw new Error('no')
        uploaded.push(id)
      },
      () => undefined,
    )
    const ids = Array.from({ length: 10 }, (_, i) => `${i}`)
    for (const id of [...ids, 'bad']) uploads.add(id)
    expect(most).toBe(1)
    const ended = uploads.end(new AbortController().signal)
    await expect.poll(() => uploaded.length).toBe(ids.length)
    expect({ most, left: uploads.left }).toEqual({ most: 4, left: 1 })
    broken = false
    await ended
    expect(uploaded).toEqual([...ids, 'bad'])
    expect(uploads.left).toBe(0)
  })

  it('are given up at the signal, and counted', async () => {
    const late = new AbortController()
    const uploads = new S3Uploads(
      () =>
        new Promise((_resolve, reject) => {
          late.signal.addEventListener('abort', () => {
            reject(new Error('broken off'))
          })
        }),
      ({ message }) => expect.unreachable(message),
    )
    for (let i = 0; i < 6; i += 1) uploads.add(`${i}`)
    const ended = uploads.end(late.signal)
    late.abort()
    await ended
    expect(uploads.left).toBe(6)
  })
})

it('reads parts of a file whole, or says that there is less', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-parts-'))
  try {
    const path = join(directory, 'file')
    await writeFile(path, '0123456789')
    await withFileParts(path, async (part) => {
      expect(String(await part(2, 5))).toBe('234')
      await expect(part(8, 11)).rejects.toThrow('shorter than its manifest says')
    })
  } finally {
    await rm(directory, { recursive: true })
  }
})
