import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderMistake } from '../document/document.ts'
import { checkConnector } from './check-connector.ts'
import { listPolicyFiles, loadPolicyFiles, policyFilePattern } from './policy-files.ts'
import { anchorPath } from './surroundings.ts'

let directory: string

beforeAll(() => {
  // A directory of any name is taken literally.
  directory = join(mkdtempSync(join(tmpdir(), 'postern-policies-')), '[a]*')
  write('policies/b.yaml', policy('b', 'pods'))
  write('policies/a.yaml', policy('a', 'services'))
  write('policies/notes.txt', 'n')
  write('policies/deep/c.yaml', policy('c', 'secrets'))
  write('home/mine.yaml', policy('mine', 'nodes'))
  write('mounted/..2026/p.yaml', policy('p', 'pods'))
  symlinkSync('..2026', join(directory, 'mounted/..data'))
  symlinkSync('..data/p.yaml', join(directory, 'mounted/p.yaml'))
})
afterAll(() => {
  rmSync(dirname(directory), { recursive: true })
})

function write(name: string, content: string): string {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

function policy(name: string, resource: string): string {
  return `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: ${name} }
spec:
  subjects: { groups: [developers] }
  rules: [ { verbs: [get], resources: [${resource}] } ]
`
}

function pattern(written: string) {
  return policyFilePattern(anchorPath(written, directory, join(directory, 'home')))
}

test.each<[written: string, files: readonly string[]]>([
  ['policies/*.yaml', ['policies/a.yaml', 'policies/b.yaml']],
  ['policies/a.yaml', ['policies/a.yaml']],
  ['./policies/?.yaml', ['policies/a.yaml', 'policies/b.yaml']],
  ['pol*/{a,x}.yaml', ['policies/a.yaml']],
  ['policies/**/*.yaml', ['policies/a.yaml', 'policies/b.yaml', 'policies/deep/c.yaml']],
  ['~/*.yaml', ['home/mine.yaml']],
  ['home/../policies/[b].yaml', ['policies/b.yaml']],
  ['mounted/*.yaml', ['mounted/p.yaml']],
  ['nowhere/*.yaml', []],
  ['policies/x.yaml', []],
])('%s names %j', async (written, files) => {
  expect(await listPolicyFiles([pattern(written)])).toEqual(files.map((file) => join(directory, file)))
})

test('an absolute pattern, and the directory to watch', async () => {
  const root = dirname(dirname(directory))
  const absolute = pattern(join(root, 'postern-policies-*', '*', 'policies', 'a.yaml'))
  expect(absolute.directory).toBe(root)
  expect(await listPolicyFiles([absolute])).toContain(join(directory, 'policies/a.yaml'))
  expect(pattern('policies/*.yaml').directory).toBe(join(directory, 'policies'))
})

test('a file that two patterns match is read once, and the order of patterns does not count', async () => {
  const one = await loadPolicyFiles([pattern('policies/*.yaml'), pattern('policies/a.yaml')])
  const two = await loadPolicyFiles([pattern('policies/b.yaml'), pattern('policies/a.yaml')])
  expect(one.revision).toBe(two.revision)
  expect(one.policies.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b']))
})

test('whole or not at all: every mistake of every file, and the files that are gone', async () => {
  write('bad/a.yaml', policy('a', 'pods').replace('verbs', 'verb'))
  write('bad/b.yaml', 'kind: [')
  write('bad/c.yaml/is-a-directory', '')
  await expect(loadPolicyFiles([pattern('bad/*.yaml'), pattern('gone/*.yaml')])).rejects.toMatchObject({
    mistakes: [
      { file: join(directory, 'bad/a.yaml'), line: 6, path: 'spec.rules[0].verbs' },
      { file: join(directory, 'bad/a.yaml'), line: 6, path: 'spec.rules[0].verb' },
      { file: join(directory, 'bad/b.yaml'), line: 1 },
      { file: join(directory, 'bad/c.yaml'), line: 1, problem: 'cannot be read: it is a directory' },
      { file: join(directory, 'gone/*.yaml'), line: 1, problem: 'cannot be read: it matches no file' },
    ],
  })
})

test('a check tells the mistakes of the document and of its policies together', async () => {
  write('mixed/p.yaml', policy('p', 'pods').replace('[get]', 'get'))
  const path = write('connector.yaml', 'kind: Connector\npolicies: [mixed/*.yaml, gone.yaml]\n')
  const lines = (await checkConnector(path)).map(renderMistake).map((line) => line.replaceAll(`${directory}/`, ''))
  expect(lines).toEqual([
    'connector.yaml:1: apiVersion: is missing, expected "postern.dev/v1alpha1"',
    'connector.yaml:1: listen: is missing, expected an object',
    'connector.yaml:1: identity: is missing, expected an object',
    'connector.yaml:1: sockets: is missing, expected a list',
    'connector.yaml:1: audit: is missing, expected an object',
    'connector.yaml:2: policies[1]: "gone.yaml" matches no file, expected at least one policy file',
    'mixed/p.yaml:6: spec.rules[0].verbs: is a string, expected a list',
  ])
})

test('files that are written all the while are refused', async () => {
  const path = write('busy/p.yaml', policy('p', 'pods'))
  let busy = true
  const append = (): void => {
    if (!busy) return
    appendFileSync(path, '#\n')
    setImmediate(append)
  }
  append()
  try {
    await expect(loadPolicyFiles([pattern('busy/*.yaml')])).rejects.toMatchObject({
      mistakes: [{ file: path, line: 1, problem: 'cannot be read: it is being written all the time' }],
    })
  } finally {
    busy = false
  }
})
