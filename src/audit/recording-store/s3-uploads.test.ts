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
    await uploads.close()
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
    await uploads.close()
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
    await uploads.close()
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
