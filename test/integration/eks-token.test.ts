import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type CallerIdentityToken, makeCallerIdentityToken } from '../../src/upstream/eks/caller-identity-token.ts'
import { hasFIPS, stsHost } from '../../src/upstream/eks/partition.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { startTokenVerifier, type TokenVerifier, tokenVerifierBinary } from '../support/token-verifier.ts'

const MINUTE_MS = 60_000

let binary: string
let aws: StagedAws
let verifier: TokenVerifier
beforeAll(async () => {
  binary = await tokenVerifierBinary()
  aws = await startStagedAws()
  verifier = await startTokenVerifier(binary, aws, 'prod')
}, 5 * MINUTE_MS)
afterAll(async () => {
  await verifier.close()
  await aws.close()
})
afterEach(() => {
  aws.clockOffsetMs = 0
  aws.fault = () => undefined
})

type Identity = ReturnType<StagedAws['addIdentity']>

function make(
  { accessKeyID: accessKeyId, secretAccessKey, sessionToken }: Identity,
  options: {
    readonly clusterID?: string
    readonly region?: string
    readonly fips?: boolean
    readonly nowMs?: number
  } = {},
): Promise<CallerIdentityToken> {
  const { clusterID = 'prod', region = aws.region, fips = false, nowMs = Date.now() } = options
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken !== '' && { sessionToken }) }
  return makeCallerIdentityToken({ clusterID, region, fips }, credentials, nowMs)
}

function addRole(): Identity {
  return aws.addIdentity({ arn: `arn:aws:sts::${aws.account}:assumed-role/postern/session`, temporary: true })
}

describe('a token', () => {
  test('of a user is taken by aws-iam-authenticator, which learns who that is', async () => {
    const user = aws.addIdentity({ arn: `arn:aws:iam::${aws.account}:user/ana` })
    const { token } = await make(user)
    expect(await verifier.verify(token)).toEqual({
      arn: user.arn,
      canonicalARN: user.arn,
      sessionName: '',
      accessKeyID: user.accessKeyID,
      stsEndpoint: 'sts.eu-west-1.amazonaws.com',
      error: '',
    })
  })

  test('of a role carries the session token, and names the role', async () => {
    const { token } = await make(addRole())
    expect(await verifier.verify(token)).toMatchObject({
      canonicalARN: `arn:aws:iam::${aws.account}:role/postern`,
      sessionName: 'session',
      error: '',
    })
  })

  test('by way of a FIPS endpoint is not made where there is none', async () => {
    await expect(make(addRole(), { fips: true })).rejects.toThrow('eu-west-1 has no FIPS endpoint of STS')
  })

  test('is of no use on another cluster', async () => {
    const { token } = await make(addRole(), { clusterID: 'staging' })
    expect((await verifier.verify(token)).error).toMatch(/got 403.*SignatureDoesNotMatch/)
  })

  test('of another region is refused by STS', async () => {
    const { token } = await make(addRole(), { region: 'us-east-1' })
    expect((await verifier.verify(token)).error).not.toBe('')
  })

  test.for([
    ['lives as long as we count on', 0, 13.9, ''],
    ['is dead after a quarter of an hour', 0, 15.1, 'expired'],
    ['of a clock that is four minutes ahead is taken', 4, 0, ''],
    ['of a clock that is six minutes ahead is not yet taken', 6, 0, 'not yet current'],
  ] as const)('%s', async ([, aheadMinutes, ageMinutes, error]) => {
    const { token } = await make(addRole(), { nowMs: Date.now() + (aheadMinutes - ageMinutes) * MINUTE_MS })
    const verified = await verifier.verify(token)
    if (error === '') expect(verified.error).toBe('')
    else expect(verified.error).toContain(error)
  })

  test('of an ended session is refused', async () => {
    const role = addRole()
    const { token } = await make(role)
    role.expiresAtMs = Date.now() - 1
    expect((await verifier.verify(token)).error).toContain('ExpiredToken')
  })

  test('ends with the credentials that signed it', async () => {
    const expiration = new Date(Date.now() + 5 * MINUTE_MS)
    const keys = { accessKeyId: 'AKIA', secretAccessKey: 's', expiration }
    const { expiresAtMs } = await makeCallerIdentityToken(
      { clusterID: 'a', region: 'eu-west-1', fips: false },
      keys,
      Date.now(),
    )
    expect(expiresAtMs).toBe(expiration.getTime())
  })

  test('with a session token that is too long is not made', async () => {
    const keys = { accessKeyId: 'AKIA', secretAccessKey: 's', sessionToken: 'x'.repeat(4096) }
    const options = { clusterID: 'a', region: 'eu-west-1', fips: false }
    await expect(makeCallerIdentityToken(options, keys, Date.now())).rejects.toThrow(/too? long|so long/)
  })
})

describe.for([
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['us-iso-east-1', 'aws-iso'],
  ['us-isob-east-1', 'aws-iso-b'],
  ['eu-isoe-west-1', 'aws-iso-e'],
  ['us-isof-south-1', 'aws-iso-f'],
  ['eusc-de-east-1', 'aws-eusc'],
  ['ap-southeast-2', 'aws'],
  ['us-east-2', 'aws'],
] as const)('in %s', ([region, partition]) => {
  test.for([false, ...(hasFIPS(region) ? [true] : [])])(
    `a token is taken by a cluster of ${partition} (FIPS: %s)`,
    async (fips) => {
      const there = await startStagedAws(region)
      const gate = await startTokenVerifier(binary, there, 'prod', partition)
      try {
        const user = there.addIdentity({ arn: `arn:${partition}:iam::${there.account}:user/ana` })
        const { token } = await make(user, { region, fips })
        const stsEndpoint = stsHost(region, fips)
        expect(await gate.verify(token)).toMatchObject({ canonicalARN: user.arn, stsEndpoint, error: '' })
      } finally {
        await gate.close()
        await there.close()
      }
    },
  )
})
