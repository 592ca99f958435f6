import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { type RequestListener, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Laptop, createLaptop } from '../support/postern-command.ts'
import { STAGED_POLICY, type StagedGateway, startStagedGateway } from '../support/staged-gateway.ts'

let gateway: StagedGateway
let laptop: Laptop
let path: string

beforeAll(async () => {
  gateway = await startStagedGateway()
  laptop = createLaptop()
  path = join(gateway.directory, 'policy.yaml')
})
afterAll(async () => {
  laptop.dispose()
  await gateway.stop()
})

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

const status = (...args: string[]) =>
  laptop.run(['policy', 'status', '--ops', `http://127.0.0.1:${gateway.opsPort}`, ...args])

async function policyz(): Promise<{ revision: string; inForceSince: string; problems: string[] }> {
  const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/policyz`)
  expect(response.headers.get('content-type')).toBe('application/json')
  return (await response.json()) as Awaited<ReturnType<typeof policyz>>
}

describe('postern policy status', () => {
  it('tells the revision in force, since when, and what it was read from', async () => {
    const { exitCode, stdout, stderr } = await status()
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^revision: sha256:[\da-f]{64}$/),
      expect.stringMatching(/^since: {4}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      'policies: 1, with 2 rules',
      `file:     ${path}`,
      '',
    ])
    const json = JSON.parse((await status('-o', 'json')).stdout) as unknown
    expect(json).toEqual({ ...(await policyz()), files: [path], policies: 1, rules: 2, problems: [] })
  })

  it('says whether files say the same, whatever their comments and places', async () => {
    const same = join(laptop.home, 'same.yaml')
    const other = join(laptop.home, 'other.yaml')
    await writeFile(same, `# moved\n${STAGED_POLICY}`)
    await writeFile(other, STAGED_POLICY.replace('payments-dev', 'nobody'))
    const equal = await status(same)
    expect([equal.exitCode, equal.stdout]).toEqual([0, expect.stringMatching(/^compared: these files are in force$/m)])
    const unequal = await status(other)
    expect([unequal.exitCode, unequal.stdout]).toEqual([
      1,
      expect.stringMatching(/^compared: these files are sha256:[\da-f]{64}$/m),
    ])
    expect(JSON.parse((await status(other, '-o', 'json')).stdout)).toMatchObject({
      compared: { files: [other], revision: expect.stringMatching(/^sha256:/) as unknown, inForce: false },
    })
    await writeFile(other, 'kind: Policy\n')
    expect((await status(other)).exitCode).toBe(78)
  })

  it('fails while a newer file is refused, and says what is wrong with it', async () => {
    const before = await policyz()
    const mistakes = `${STAGED_POLICY.replaceAll('verbs', 'verb')}\n---\nkind: Policy\n`
    await replace(path, mistakes)
    await expect.poll(async () => (await policyz()).problems.length).toBeGreaterThan(1)
    const { exitCode, stdout } = await status()
    expect(exitCode).toBe(1)
    expect(stdout).toContain(`revision: ${before.revision}\nsince:    ${before.inForceSince}\n`)
    expect(stdout).toMatch(/^problem: {2}.*policy\.yaml:7: spec\.rules\[0\]\.verb: /m)
    expect(stdout).toMatch(/stays in force\.\n$/)
    await replace(path, STAGED_POLICY)
    await expect.poll(async () => (await policyz()).problems).toEqual([])
    expect(await policyz()).toEqual(before)
  })

  it('tells the new revision and its time once it is in force', async () => {
    const before = await policyz()
    await replace(path, STAGED_POLICY.replace('pods/proxy', 'pods/log'))
    await expect.poll(async () => (await policyz()).revision).not.toBe(before.revision)
    const after = await policyz()
    expect(Date.parse(after.inForceSince)).toBeGreaterThan(Date.parse(before.inForceSince))
  })
})

describe('where no connector answers', () => {
  const run = (ops: string) => laptop.run(['policy', 'status', '--ops', ops])

  it.each([
    [
      'nothing',
      'http://127.0.0.1:9',
      /^postern: no connector answers at http:\/\/127\.0\.0\.1:9 \(.+\); name .*--ops\n$/,
    ],
    [
      'no address',
      'localhost:9443',
      /^postern: "localhost:9443" is no ops listener; write it as http:\/\/HOST:PORT\n$/,
    ],
    ['an address with a path', 'http://127.0.0.1:9/policyz', /^postern: ".*" is no ops listener; .*\n$/],
  ])('%s is one clear line', async (_, ops, line) => {
    const { exitCode, stdout, stderr } = await run(ops)
    expect(stdout).toBe('')
    expect(stderr).toMatch(line)
    expect(exitCode).toBe(ops === 'http://127.0.0.1:9' ? 1 : 64)
  })

  it.each<[what: string, answer: RequestListener, said: string]>([
    ['a page', (_request, response) => response.end('<html>'), 'something else'],
    ['another object', (_request, response) => response.end('{"revision":1}'), 'something else'],
    ['an error', (_request, response) => response.writeHead(404).end(), '404'],
    ['a flood', (_request, response) => response.end(`"${'x'.repeat(2 * 1024 * 1024)}"`), 'something else'],
  ])('%s is one clear line too', async (_, answer, said) => {
    const server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { exitCode, stderr } = await run(origin)
    server.closeAllConnections()
    server.close()
    expect(stderr).toBe(`postern: ${origin}/policyz answers ${said}; name the ops listener of a connector with --ops\n`)
    expect(exitCode).toBe(1)
  })
})
