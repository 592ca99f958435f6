import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { editKubeconfig, parseKubeconfig, type KubeconfigEdit } from './kubeconfig-text.ts'

const add = (list: 'clusters' | 'users' | 'contexts', name = 'new'): KubeconfigEdit => ({
  list,
  name,
  entry: { server: 'https://n' },
})
const remove = (list: 'clusters' | 'users' | 'contexts', name: string): KubeconfigEdit => ({ list, name, entry: null })
const edit = (text: string, ...edits: KubeconfigEdit[]): string => editKubeconfig(text, edits, 'config')

const HAND_WRITTEN = `# my clusters, do not touch

apiVersion: v1
clusters:   # the list
- cluster:
    server:    "https://a"   # spaced

  # a comment in between
  name: a
# before b
-   cluster: { server: https://b }
    name: 'b'

# after the clusters
contexts: []
users:
  - name: u
    user: {token: s3cret}   # secret
current-context: ""
kind: Config
preferences: {}
`

test('a new file has the head that kubectl expects', () => {
  expect(edit('', add('clusters'), { currentContext: 'new' })).toBe(`apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://n
  name: new
current-context: new
`)
})

test('an entry is added behind the last one, and every other byte stays', () => {
  expect(edit(HAND_WRITTEN, add('clusters'))).toBe(
    HAND_WRITTEN.replace("    name: 'b'\n", "    name: 'b'\n- cluster:\n    server: https://n\n  name: new\n"),
  )
})

test('an entry takes on the indentation of its list', () => {
  expect(edit(HAND_WRITTEN, add('users'))).toBe(
    HAND_WRITTEN.replace('# secret\n', '# secret\n  - user:\n      server: https://n\n    name: new\n'),
  )
})

test.for([
  ['contexts: []\n', 'contexts:\n'],
  ['contexts: null\n', 'contexts:\n'],
  ['contexts:\n', 'contexts:\n'],
  ['contexts: [] # none yet\n', 'contexts: # none yet\n'],
  ['contexts: []', 'contexts:\n'],
] as const)('the empty list %j is filled in place', ([before, after]) => {
  expect(edit(`kind: Config\n${before}`, add('contexts'))).toBe(
    `kind: Config\n${after}- context:\n    server: https://n\n  name: new\n`,
  )
})

test('an entry is replaced where it stands', () => {
  expect(edit(HAND_WRITTEN, add('clusters', 'a'))).toBe(
    HAND_WRITTEN.replace(/- cluster:\n {4}server: {4}[^]*name: a\n/, '- cluster:\n    server: https://n\n  name: a\n'),
  )
})

test('an entry is removed, and the last one leaves an empty list', () => {
  const withoutA = HAND_WRITTEN.replace(/- cluster:\n {4}server: {4}[^]*name: a\n/, '')
  expect(edit(HAND_WRITTEN, remove('clusters', 'a'))).toBe(withoutA)
  expect(edit(HAND_WRITTEN, remove('users', 'u'))).toBe(HAND_WRITTEN.replace(/users:\n.*\n.*\n/, 'users: []\n'))
  expect(edit(HAND_WRITTEN, remove('users', 'nobody'))).toBe(HAND_WRITTEN)
})

test('the current context is set in place', () => {
  expect(edit(HAND_WRITTEN, { currentContext: 'a' })).toBe(HAND_WRITTEN.replace('context: ""', 'context: a'))
})

test('a file in JSON stays valid, with its other entries', () => {
  const json =
    '{"apiVersion":"v1","kind":"Config","clusters":[{"name":"a","cluster":{"server":"https://a"}}],"users":[]}'
  const edited = edit(json, add('clusters'), add('users'))
  expect(parseKubeconfig(edited, 'config')).toMatchObject({
    clusters: new Map([
      ['a', { server: 'https://a' }],
      ['new', { server: 'https://n' }],
    ]),
    users: new Map([['new', { server: 'https://n' }]]),
  })
})

test('names that YAML 1.1 would not read as text are quoted', () => {
  const text = edit('', add('clusters', 'no'), { currentContext: '12:30' })
  expect(parse(text, { version: '1.1' })).toMatchObject({ clusters: [{ name: 'no' }], 'current-context': '12:30' })
})

test('Windows line ends are no obstacle', () => {
  const text = 'kind: Config\r\nclusters:\r\n- cluster: {server: https://a}\r\n  name: a\r\nusers: []\r\n'
  expect([...parseKubeconfig(edit(text, add('clusters'), add('users')), 'config').clusters.keys()]).toEqual([
    'a',
    'new',
  ])
})

test.for([
  ['clusters: [', 'at line 1'],
  ['- a', 'no mapping'],
  ['clusters: {}', '"clusters" is no list'],
  ['a: 1\n---\nb: 2', 'multiple documents'],
] as const)('%j is refused by name', ([text, why]) => {
  expect(() => parseKubeconfig(text, '/home/ana/.kube/config')).toThrow(
    /^\/home\/ana\/\.kube\/config is no kubeconfig: /,
  )
  expect(() => parseKubeconfig(text, 'config')).toThrow(why)
})

test('of two entries with one name the first counts, as in kubectl', () => {
  const text = 'users:\n- {name: u, user: {token: one}}\n- {name: u, user: {token: two}}\n'
  expect(parseKubeconfig(text, 'config').users.get('u')).toEqual({ token: 'one' })
})

describe('whatever stands in a file', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9.-]{0,8}$/)
  const comment = fc.constantFrom('', '', '# note\n', '\n', '\n# - name: fake\n\n')
  const entry = fc.record({ name, comment, style: fc.integer({ min: 0, max: 3 }), columns: fc.constantFrom(0, 2, 4) })
  const list = (key: string): fc.Arbitrary<string> =>
    fc
      .tuple(fc.uniqueArray(entry, { maxLength: 4, selector: (one) => one.name }), fc.constantFrom(0, 1, 3))
      .map(([entries, indent]) => {
        const pad = ' '.repeat(indent)
        const items = entries.map(
          ({ name: own, comment: before, style }) =>
            [
              `${before}${pad}- name: ${own}\n${pad}  ${key.slice(0, -1)}:\n${pad}      server:   https://${own} # c\n`,
              `${before}${pad}- ${key.slice(0, -1)}: {"server": "https://${own}"}\n${pad}  name: "${own}"\n`,
              `${before}${pad}-\n${pad}    name: ${own}\n${pad}    ${key.slice(0, -1)}:\n${pad}     extra: |\n${pad}        - x\n${pad}          y\n`,
              `${before}${pad}- {name: ${own}, ${key.slice(0, -1)}: {}}\n`,
            ][style],
        )
        return items.length === 0 ? `${key}: []\n` : `${key}:\n${items.join('')}`
      })
  const file = fc
    .tuple(
      fc
        .shuffledSubarray([list('clusters'), list('users'), list('contexts'), fc.constant('kind: Config # k\n')], {
          minLength: 1,
        })
        .chain((parts) => fc.tuple(...parts)),
      comment,
    )
    .map(([parts, tail]) => parts.join('') + tail)
  const anyEdit = fc.record({
    list: fc.constantFrom('clusters' as const, 'users' as const, 'contexts' as const),
    name,
    entry: fc.option(fc.record({ server: name, flag: fc.boolean() })),
  })

  test('an edit changes its entry and nothing else, in meaning and in bytes', () => {
    fc.assert(
      fc.property(file, anyEdit, (text, change) => {
        const before = parseKubeconfig(text, 'config')
        const edited = edit(text, change)
        const after = parseKubeconfig(edited, 'config')
        for (const key of ['clusters', 'users', 'contexts'] as const) {
          const expected = new Map(before[key])
          if (key === change.list && change.entry !== null) expected.set(change.name, change.entry)
          if (key === change.list && change.entry === null) expected.delete(change.name)
          expect(new Map(after[key])).toEqual(expected)
        }
        const kept = keptLines(text, change)
        expect(kept.filter((line) => !edited.split('\n').includes(line))).toEqual([])
        if (before[change.list].has(change.name)) return
        if (change.entry === null) expect(edited).toBe(text)
        else expect(text.length - unchangedBytes(text, edited)).toBeLessThanOrEqual(' []'.length)
      }),
      { numRuns: 100 },
    )
  })

  function unchangedBytes(text: string, edited: string): number {
    const length = Math.min(text.length, edited.length)
    let head = 0
    while (head < length && text[head] === edited[head]) head += 1
    let tail = 0
    while (tail < length - head && text.at(-1 - tail) === edited.at(-1 - tail)) tail += 1
    return head + tail
  }

  /** Lines of a file that no edit of one entry may touch: those of other entries. */
  function keptLines(text: string, change: { readonly list: string; readonly name: string }): string[] {
    return text.split('\n').filter((line) => line.includes('https://') && !line.includes(`https://${change.name}`))
  }
})
