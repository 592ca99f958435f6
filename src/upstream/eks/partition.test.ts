import { expect, test } from 'vitest'
import { FIPS_REGIONS, hasFIPS, isPartitionID, partitionOf, stsHost } from './partition.ts'
import { findRoleARN, formatRoleARN, parseRoleARN, roleOfSession, withoutPath } from './role-arn.ts'

test.for([
  ['eu-west-1', 'aws', 'sts.eu-west-1.amazonaws.com', ''],
  ['ca-central-1', 'aws', 'sts.ca-central-1.amazonaws.com', ''],
  ['mx-central-1', 'aws', 'sts.mx-central-1.amazonaws.com', ''],
  ['us-west-1', 'aws', 'sts.us-west-1.amazonaws.com', 'sts-fips.us-west-1.amazonaws.com'],
  ['us-gov-east-1', 'aws-us-gov', 'sts.us-gov-east-1.amazonaws.com', 'sts.us-gov-east-1.amazonaws.com'],
  ['cn-northwest-1', 'aws-cn', 'sts.cn-northwest-1.amazonaws.com.cn', ''],
  ['us-iso-west-1', 'aws-iso', 'sts.us-iso-west-1.c2s.ic.gov', ''],
  ['us-isob-east-1', 'aws-iso-b', 'sts.us-isob-east-1.sc2s.sgov.gov', ''],
  ['eusc-de-east-1', 'aws-eusc', 'sts.eusc-de-east-1.amazonaws.eu', ''],
] as const)('%s is of %s', ([region, partition, host, fipsHost]) => {
  expect(partitionOf(region)?.id).toBe(partition)
  expect(stsHost(region, false)).toBe(host)
  expect(hasFIPS(region)).toBe(fipsHost !== '')
  if (fipsHost === '') expect(() => stsHost(region, true)).toThrow(RangeError)
  else expect(stsHost(region, true)).toBe(fipsHost)
})

test('each region with FIPS endpoints is one', () => {
  expect(FIPS_REGIONS.filter((region) => partitionOf(region) === null)).toEqual([])
})

test.for(['', 'eu-west', 'eu-west-1.evil.example', 'EU-WEST-1', 'eu-west-1\n', 'xx-west-1', 'evil.example/#'])(
  '%j is no region',
  (text) => {
    expect(partitionOf(text)).toBeNull()
    expect(() => stsHost(text, false)).toThrow(RangeError)
  },
)

test('partitions have ids', () => {
  expect(['aws', 'aws-cn', 'aws-iso-f', 'aws-x', ''].map(isPartitionID)).toEqual([true, true, true, false, false])
})

test.for([
  ['arn:aws:iam::111122223333:role/postern', '/', 'postern'],
  ['arn:aws-cn:iam::111122223333:role/a/b/postern', '/a/b/', 'postern'],
  [
    'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_A_1',
    '/aws-reserved/sso.amazonaws.com/eu-west-1/',
    'AWSReservedSSO_A_1',
  ],
] as const)('%s is a role', ([text, path, name]) => {
  const role = parseRoleARN(text)
  expect(role).toMatchObject({ path, name })
  if (role === null) return
  expect(formatRoleARN(role)).toBe(text)
  expect(formatRoleARN(withoutPath(role))).toBe(text.replace(path, '/'))
})

test.for([
  'arn:aws:iam::111122223333:user/ana',
  'arn:aws:iam::1:role/a',
  'arn:evil:iam::111122223333:role/a',
  'arn:aws:iam::111122223333:role/',
  'arn:aws:iam::111122223333:role/a b',
  'arn:aws:iam::111122223333:role//a\n',
  'arn:aws:sts::111122223333:assumed-role/a/b',
])('%j is none', (text) => {
  expect(parseRoleARN(text)).toBeNull()
})

test('a session is of a role, whose path it does not tell', () => {
  expect(roleOfSession('arn:aws:sts::111122223333:assumed-role/postern/i-0123')).toEqual({
    partition: 'aws',
    account: '111122223333',
    name: 'postern',
  })
  expect(roleOfSession('arn:aws:iam::111122223333:role/postern')).toBeNull()
})

test('the path of a role is found in ARNs of the same role only', () => {
  const seen = { partition: 'aws', account: '111122223333', name: 'postern' }
  const others = ['', 'arn:aws:iam::111122223333:role/a/other', 'arn:aws:iam::444455556666:role/a/postern']
  const same = 'arn:aws:iam::111122223333:role/teams/postern'
  expect(findRoleARN(seen, others)).toBeNull()
  expect(findRoleARN(seen, [...others, 'arn:aws-cn:iam::111122223333:role/x/postern', same])).toEqual(
    parseRoleARN(same),
  )
})
