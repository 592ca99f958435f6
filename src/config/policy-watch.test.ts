import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { AtomicVolume } from '../../test/support/atomic-volume.ts'
import type { PolicySet } from '../policy/policy-set.ts'
import { loadPolicyFiles } from './policy-files.ts'
import { PolicyWatch } from './policy-watch.ts'

const policy = (name: string): string => `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: ${name} }
spec:
  subjects: { groups: [developers] }
  rules: [{ verbs: [get], resources: [pods] }]
`

let directory: string
let volume: AtomicVolume
let watch: PolicyWatch
let changes: (readonly string[])[]
let mistakes: unknown[]
let mended: number

const namesOf = ({ policies }: PolicySet): string[] =>
  policies.map(({ name }) => name).filter((name) => !name.startsWith('postern:'))

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-watch-'))
  volume = await AtomicVolume.create(join(directory, 'policies'), { 'a.yaml': policy('a1'), 'b.yaml': policy('b1') })
  changes = []
  mistakes = []
  mended = 0
  const started = await PolicyWatch.start({
    patterns: [{ directory: volume.directory, glob: '*.yaml' }],
    onChange: (policies) => changes.push(namesOf(policies)),
    onMistakes: (error) => mistakes.push(error),
    onMended: () => (mended += 1),
  })
  watch = started.watch
  expect(namesOf(started.policies)).toEqual(['a1', 'b1'])
})
afterEach(async () => {
  await watch.stop()
  await rm(directory, { recursive: true })
})

it('sees a ConfigMap volume that is swapped', async () => {
  await volume.replace({ 'a.yaml': policy('a2'), 'b.yaml': policy('b2') })
  await expect.poll(() => changes).toEqual([['a2', 'b2']])
})

it('reads each revision whole, however it is swapped meanwhile', async () => {
  const read = new AbortController()
  const swapping = (async () => {
    for (let revision = 2; !read.signal.aborted; revision += 1) {
      await volume.replace({ 'a.yaml': policy(`a${revision}`), 'b.yaml': policy(`b${revision}`) })
      await setTimeout(5)
    }
  })()
  for (let time = 0; time < 30; time += 1) {
    const [a = '', b = ''] = namesOf(await loadPolicyFiles([{ directory: volume.directory, glob: '*.yaml' }]))
    expect(a.slice(1)).toBe(b.slice(1))
  }
  read.abort()
  await swapping
  expect(mistakes).toEqual([])
})

it('keeps what is in force while a swapped file is wrong, and says when it is right again', async () => {
  await volume.replace({ 'a.yaml': policy('a2'), 'b.yaml': 'kind: Policy\n' })
  await expect.poll(() => mistakes.length).toBe(1)
  expect(changes).toEqual([])
  await volume.replace({ 'a.yaml': policy('a2'), 'b.yaml': policy('b2') })
  await expect.poll(() => changes).toEqual([['a2', 'b2']])
  expect(mended).toBe(1)
})

it('sees a file that comes and one that goes', async () => {
  await volume.replace({ 'b.yaml': policy('b1'), 'c.yaml': policy('c1') })
  await expect.poll(() => changes.at(-1)).toEqual(['b1', 'c1'])
})

it('never puts half of a file in force that is written in place', { timeout: 20_000 }, async () => {
  const path = join(volume.directory, 'a.yaml')
  const half = policy('half')
  const whole = `${half}---\n${policy('whole')}`
  const file = await open(path, 'w')
  for (const piece of [half, '---\n', policy('whole')]) {
    await file.write(piece)
    for (let look = 0; look < 15; look += 1) {
      await setTimeout(40)
      await file.utimes(new Date(), new Date())
    }
  }
  await file.close()
  await expect.poll(() => changes, { timeout: 5_000 }).toEqual([['b1', 'half', 'whole']])
  expect(await readFile(path, 'utf8')).toBe(whole)
})
