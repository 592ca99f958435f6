import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { isInsertion, mapRolesText } from '../../../test/support/map-roles.ts'
import { addRoleMapping, AwsAuthError, type RoleMapping, rolesWithPath } from './role-mapping.ts'

const ours: RoleMapping = {
  rolearn: 'arn:aws:iam::111122223333:role/postern',
  username: 'postern',
  groups: ['postern-connector'],
}
const entry = `- rolearn: arn:aws:iam::111122223333:role/postern
  username: postern
  groups:
  - postern-connector
`

describe('an entry is added', () => {
  test.for([
    ['to nothing', '', entry],
    ['to blanks', ' \n\n', entry],
    ['to what stands for nothing', '""\n', entry],
    ['below comments', '# none yet\n', `# none yet\n${entry}`],
    ['to an empty list', '[]\n', `[ ${JSON.stringify(ours)} ]\n`],
    ['to a list in brackets', '[{"rolearn": "a"} ] # b\n', `[{"rolearn": "a"}, ${JSON.stringify(ours)} ] # b\n`],
    [
      'to a list in brackets with a comma at its end',
      '[\n  {rolearn: a},\n]\n',
      `[\n  {rolearn: a}, ${JSON.stringify(ours)},\n]\n`,
    ],
    [
      'behind others, with their comments, order and odd spaces',
      "# nodes\n- groups:\n    - system:nodes   # keep\n  rolearn:   'arn:x'\n\n# end",
      `# nodes\n- groups:\n    - system:nodes   # keep\n  rolearn:   'arn:x'\n\n# end\n${entry.trimEnd()}`,
    ],
    [
      'at the indentation of the others',
      '  - rolearn: a\n    username: b\n',
      `  - rolearn: a\n    username: b\n${entry.replaceAll(/^(?=.)/gm, '  ')}`,
    ],
    ['with the line breaks of the others', '- rolearn: a\r\n', `- rolearn: a\r\n${entry.replaceAll('\n', '\r\n')}`],
  ] as const)('%s', ([, before, after]) => {
    expect(addRoleMapping(before, ours)).toBe(after)
  })

  test('once', () => {
    const once = addRoleMapping('- rolearn: a\n', ours)
    expect(addRoleMapping(once, ours)).toBe(once)
    expect(
      addRoleMapping(
        '- {RoleARN: ARN:AWS:iam::111122223333:role/POSTERN, username: postern, groups: [postern-connector]}\n',
        ours,
      ),
    ).toMatch(/^- \{RoleARN: [^\n]+\n$/)
  })
})

describe('nothing is touched', () => {
  test.for([
    [
      'when the role is mapped to something else',
      `- rolearn: ${ours.rolearn}\n  username: other\n  groups: [a]\n`,
      /entry 1 of mapRoles maps this role already, to user "other" and groups \["a"\]/,
    ],
    ['in what is not YAML', '- rolearn: [\n', /is not YAML \(line 2/],
    ['in a mapping', 'rolearn: a\n', /is not a list/],
    ['in several documents', '- rolearn: a\n---\n- rolearn: b\n', /is not YAML/],
    ['behind the end of the document', '- rolearn: a\n...\n', /not YAML|cannot be added safely/],
    ['where an open text would take the entry in', '- rolearn: |+\n    a', /ends within a text of several lines/],
  ] as const)('%s', ([, before, message]) => {
    expect(() => addRoleMapping(before, ours)).toThrow(AwsAuthError)
    expect(() => addRoleMapping(before, ours)).toThrow(message)
  })
})

test('names of groups that YAML would take for something else are quoted', () => {
  for (const group of ['true', '1', 'a: b', "it's", '{{x}}', '- a', 'null', '']) {
    const after = addRoleMapping('- rolearn: a\n', { ...ours, groups: [group] })
    expect((parse(after) as RoleMapping[])[1]?.groups).toEqual([group])
  }
})

test('entries with a path, which match nobody, are found', () => {
  const text =
    '- rolearn: arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1\n- rolearn: arn:aws:iam::111122223333:role/plain\n'
  expect(rolesWithPath(text)).toEqual([
    {
      written: 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1',
      meant: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_1',
    },
  ])
})

test('whatever the list looks like, no entry is ever lost or written differently', () => {
  fc.assert(
    fc.property(mapRolesText, (before) => {
      const after = addRoleMapping(before, ours)
      const entries = (parse(before) ?? []) as unknown[]
      expect(parse(after)).toEqual([...entries, ours])
      expect(isInsertion(before, after)).toBe(true)
      expect(addRoleMapping(after, ours)).toBe(after)
    }),
    { numRuns: 150 },
  )
})
