import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { isInsertion, mapRolesText } from '../../../test/support/map-roles.ts'
import { editAwsAuth } from './aws-auth-file.ts'
import { addRoleMapping, AwsAuthError, type RoleMapping } from './role-mapping.ts'

const ours: RoleMapping = { rolearn: 'arn:aws:iam::111122223333:role/postern', username: 'postern', groups: ['g'] }
const add = (mapRoles: string): string => addRoleMapping(mapRoles, ours)
const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: aws-auth\n  namespace: kube-system\n'
const lines = (indent: string): string =>
  `- rolearn: arn:aws:iam::111122223333:role/postern\n  username: postern\n  groups:\n  - g\n`.replaceAll(
    /^(?=.)/gm,
    indent,
  )

describe('the file keeps its bytes', () => {
  test.for([
    [
      'around and within a literal block',
      `# mine\n${head}data:\n    mapRoles:   |   # roles\n        # nodes\n        - rolearn: a   # b\n          groups:  [ c ]\n\n\n    mapUsers: |\n        - userarn: d\n`,
      `# mine\n${head}data:\n    mapRoles:   |   # roles\n        # nodes\n        - rolearn: a   # b\n          groups:  [ c ]\n${lines('        ')}\n\n    mapUsers: |\n        - userarn: d\n`,
    ],
    [
      'when the block is the last thing and has no last line break',
      `${head}data:\n  mapRoles: |-\n    - rolearn: a`,
      `${head}data:\n  mapRoles: |-\n    - rolearn: a\n${lines('    ').trimEnd()}`,
    ],
    [
      'when the block has its indentation written out',
      `${head}data:\n  mapRoles: |2\n      - rolearn: a\n  mapAccounts: ""\n`,
      `${head}data:\n  mapRoles: |2\n      - rolearn: a\n${lines('      ')}  mapAccounts: ""\n`,
    ],
    [
      'when there is no mapRoles',
      `${head}data:\n  mapUsers: |\n    - userarn: d\n# end\n`,
      `${head}data:\n  mapUsers: |\n    - userarn: d\n  mapRoles: |\n${lines('    ')}# end\n`,
    ],
    ['when there is no data', head, `${head}data:\n  mapRoles: |\n${lines('    ')}`],
    ['when data is empty', `${head}data:\n`, `${head}data:\n  mapRoles: |\n${lines('    ')}`],
    [
      'when data is empty, with a comment, before other things',
      `${head}data: # none yet\nimmutable: false\n`,
      `${head}data: # none yet\n  mapRoles: |\n${lines('    ')}immutable: false\n`,
    ],
    ['when data is null', `${head}data: null`, `${head}data: \n  mapRoles: |\n${lines('    ')}`],
    [
      'around a text in quotes',
      `${head}data:\n  mapRoles: "- rolearn: a  \\n" # q\n  x: y\n`,
      `${head}data:\n  mapRoles: ${JSON.stringify(`- rolearn: a  \n${lines('')}`)} # q\n  x: y\n`,
    ],
    [
      'of JSON',
      JSON.stringify(
        { kind: 'ConfigMap', metadata: { name: 'aws-auth', namespace: 'kube-system' }, data: { mapRoles: '[]' } },
        null,
        2,
      ),
      JSON.stringify(
        {
          kind: 'ConfigMap',
          metadata: { name: 'aws-auth', namespace: 'kube-system' },
          data: { mapRoles: `[ ${JSON.stringify(ours)} ]` },
        },
        null,
        2,
      ),
    ],
  ] as const)('%s', ([, before, after]) => {
    expect(editAwsAuth(before, add)).toBe(after)
    expect(editAwsAuth(after, add)).toBe(after)
  })
})

test.for([
  ['another ConfigMap', head.replace('aws-auth', 'other'), /not the ConfigMap aws-auth/],
  ['one of another namespace', head.replace('kube-system', 'default'), /not in namespace kube-system/],
  ['a list', '- a\n', /not the ConfigMap aws-auth/],
  ['nothing', '', /not the ConfigMap aws-auth/],
  ['several documents', `${head}---\n${head}`, /not one YAML document/],
  ['what is not YAML', 'a: [', /not one YAML document/],
] as const)('%s is not touched', ([, manifest, message]) => {
  expect(() => editAwsAuth(manifest, add)).toThrow(AwsAuthError)
  expect(() => editAwsAuth(manifest, add)).toThrow(message)
})

test.for([
  ['a literal block', 'data:\n  mapRoles: |\n    - rolearn: a\n  x: "y"\n'],
  ['a literal block without a last line break', 'data:\n  mapRoles: |-\n    - rolearn: a'],
  ['no mapRoles', 'data:\n  x: "y"\n'],
  ['empty data', 'data:\n'],
  ['no data', ''],
  ['a folded block', 'data:\n  mapRoles: >\n    - rolearn: a\n  x: "y"\n'],
] as const)('lines that end in CRLF stay so and get company: %s', ([, data]) => {
  const before = `${head}${data}`.replaceAll('\n', '\r\n')
  const after = editAwsAuth(before, add)
  expect(after.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  expect(after.replaceAll('\r\n', '\n')).toBe(editAwsAuth(`${head}${data}`, add))
})

const manifests = fc
  .tuple(
    mapRolesText,
    fc.array(fc.tuple(fc.constantFrom('mapUsers', 'mapAccounts', 'other'), fc.string({ maxLength: 30 })), {
      maxLength: 3,
    }),
    fc.constantFrom('BLOCK_LITERAL', 'PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_FOLDED' as const),
    fc.constantFrom(1, 2, 4, 7),
    fc.boolean(),
    fc.constantFrom('', '# tail\n', '\n\n'),
    fc.boolean(),
  )
  .map(([mapRoles, others, defaultStringType, indent, last, tail, crlf]) => {
    const entries = last ? [...others, ['mapRoles', mapRoles]] : [['mapRoles', mapRoles], ...others]
    const manifest = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'aws-auth', namespace: 'kube-system' },
      data: Object.fromEntries(entries) as object,
    }
    const text = stringify(manifest, { defaultStringType, indent, lineWidth: 0 }) + tail
    return crlf ? text.replaceAll('\n', '\r\n') : text
  })

test('whatever the file looks like, nothing but one entry is new', () => {
  let inBlocks = 0
  fc.assert(
    fc.property(manifests, (before) => {
      const after = editAwsAuth(before, add)
      const was = parse(before) as { data: Record<string, string> }
      expect(parse(after)).toEqual({ ...was, data: { ...was.data, mapRoles: add(was.data['mapRoles'] ?? '') } })
      if (before.includes('\r\n')) expect(after.replaceAll('\r\n', '')).not.toContain('\n')
      const block = /^ +"?mapRoles"?: \|/m.test(before) && was.data['mapRoles']?.trim() !== ''
      if (!block) return
      inBlocks++
      expect(isInsertion(before, after)).toBe(true)
    }),
    { numRuns: 150 },
  )
  expect(inBlocks).toBeGreaterThan(8)
})
