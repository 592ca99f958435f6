import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { Kubectl } from './kubectl.ts'

const megabytes = 200
const surroundings = inject('surroundings')
/** The oldest copies over SPDY, the newest over WebSocket. */
const versions = [surroundings.kubectls[0], surroundings.kubectls.at(-1)].filter((each) => each !== undefined)

let directory = ''
let original = ''

beforeAll(async () => {
  directory = await mkdtemp(join(surroundings.directory, 'large-'))
  original = join(directory, 'original')
  await using file = await open(original, 'w')
  const block = Buffer.allocUnsafe(1_000_000)
  for (let i = 0; i < megabytes; i += 1) await file.write(randomFillSync(block))
})

describe(`kubectl cp of ${megabytes} MB through the gateway, there and back`, () => {
  for (const version of new Set(versions)) {
    test(`kubectl ${version.version}`, async () => {
      const kubectl = new Kubectl(surroundings, version, 'ana', 'default')
      const name = `large-${version.minor}`
      const copy = join(directory, name)
      const there = await kubectl.run(['cp', original, `toolbox:${name}`])
      expect(there).toEqual({ code: 0, stdout: '', stderr: '' })
      const sum = await kubectl.run(['exec', 'toolbox', '--', 'sha256sum', name])
      expect(sum.stdout).toBe(`${await sha256(original)}  ${name}\n`)
      const back = await kubectl.run(['cp', `toolbox:${name}`, copy])
      expect(back.code, back.stderr).toBe(0)
      expect(await sha256(copy)).toBe(await sha256(original))
      await kubectl.run(['exec', 'toolbox', '--', 'rm', name])
    })
  }
})

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
