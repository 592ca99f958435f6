import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TRAIL_FILE, openFileSink } from './file-sink.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-audit-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

const read = (): Promise<string> => readFile(join(directory, TRAIL_FILE), 'utf8')

describe('a file sink', () => {
  it('keeps every line, in order, when it is closed', async () => {
    const sink = await openFileSink(directory)
    const lines = Array.from({ length: 10_000 }, (_, i) => `{"n":${i}}\n`)
    for (const line of lines) sink.write(line)
    await sink.close()
    expect(await read()).toBe(lines.join(''))
  })

  it('is readable by its owner alone', async () => {
    const trail = join(directory, 'trail')
    const sink = await openFileSink(trail)
    await sink.close()
    expect((await stat(trail)).mode & 0o777).toBe(0o700)
    expect((await stat(join(trail, TRAIL_FILE))).mode & 0o777).toBe(0o600)
  })

  it('does not glue an event to the half line that a killed process left', async () => {
    await appendFile(join(directory, TRAIL_FILE), '{"n":1}\n{"n":')
    const sink = await openFileSink(directory)
    sink.write('{"n":2}\n')
    await sink.close()
    expect(await read()).toBe('{"n":1}\n{"n":\n{"n":2}\n')
  })

  it('is not writable while more waits than its bound', async () => {
    const sink = await openFileSink(directory)
    sink.write(`${'x'.repeat(9 * 1024 * 1024)}\n`)
    expect(sink.writable).toBe(false)
    await expect.poll(() => sink.writable).toBe(true)
    await sink.close()
  })

  it('refuses to start where it cannot write', async () => {
    await appendFile(join(directory, 'file'), '')
    await expect(openFileSink(join(directory, 'file'))).rejects.toThrow(/EEXIST|ENOTDIR/)
  })
})
