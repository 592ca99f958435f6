import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Secret } from '../../src/document/secret.ts'
import type { AwsTimeouts } from '../../src/upstream/eks/eks-api.ts'
import type { EksOptions } from '../../src/upstream/eks/eks-options.ts'
import { EksSession } from '../../src/upstream/eks/eks-session.ts'
import { EksUpstream } from '../../src/upstream/eks/eks-upstream.ts'
import { DEFAULT_UPSTREAM_LIMITS } from '../../src/upstream/upstream-limits.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { startStagedMetadata, type StagedMetadata } from '../support/staged-aws-metadata.ts'
import { type StagedEksCluster, startStagedEksCluster } from '../support/staged-eks.ts'
import { tokenVerifierBinary } from '../support/token-verifier.ts'
import { answerOf } from '../support/upstream-requests.ts'

const NEVER = new AbortController().signal
const ROLE = 'arn:aws:iam::111122223333:role/postern'
/** A question is given up before the last attempt only where nothing else does. */
const SHORT: AwsTimeouts = { connectMs: 1_000, requestMs: 150, questionMs: 20_000 }

let binary: string
let aws: StagedAws
let metadata: StagedMetadata
let cluster: StagedEksCluster
let warned: readonly (readonly unknown[])[]

beforeAll(async () => {
  binary = await tokenVerifierBinary()
}, 5 * 60_000)
beforeEach(async () => {
  aws = await startStagedAws()
  cluster = await startStagedEksCluster(binary, aws, 'prod')
  cluster.mapped.set(ROLE, { username: 'connector', groups: [] })
  aws.roles.set(ROLE, { allowed: ['eks:DescribeCluster'] })
  metadata = await startStagedMetadata(aws.addIdentity({ arn: 'arn:aws:iam::111122223333:user/a', temporary: true }))
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries({ ...aws.environment, ...noFiles })) vi.stubEnv(name, value)
  warned = vi.spyOn(console, 'warn').mock.calls
})
afterEach(async () => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  await metadata.close()
  await cluster.close()
  await aws.close()
})

const noFiles = { AWS_CONFIG_FILE: '/nonexistent', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' }
const fromContainer = (): Record<string, string> => ({
  AWS_CONTAINER_CREDENTIALS_FULL_URI: `${metadata.url}/v1/credentials`,
  AWS_CONTAINER_AUTHORIZATION_TOKEN: metadata.token,
})

function options(source: 'keys' | 'ambient' = 'keys'): EksOptions {
  const { accessKeyID, secretAccessKey } = aws.addIdentity({
    arn: `arn:aws:iam::${aws.account}:user/a`,
    allowed: [ROLE],
  })
  const keys = {
    accessKeyID: { value: new Secret(accessKeyID) },
    secretAccessKey: { value: new Secret(secretAccessKey) },
  }
  return {
    cluster: 'prod',
    region: aws.region,
    fips: false,
    credentials: source === 'ambient' ? { kind: 'ambient' } : { kind: 'keys', ...keys, sessionToken: undefined },
    assumeRole: { roleARN: ROLE, externalID: undefined, sessionName: 'postern' },
  }
}

async function open(timeouts: AwsTimeouts): Promise<EksUpstream> {
  const ignore = (): void => undefined
  const events = { onReloaded: ignore, onRefused: ignore, onMended: ignore }
  const upstream = await EksUpstream.open(options(), events, DEFAULT_UPSTREAM_LIMITS, Date.now, timeouts)
  onTestFinished(() => {
    upstream.close()
  })
  return upstream
}

describe('an AWS that takes a question and does not answer', () => {
  test.for([
    ['eks:DescribeCluster', 'silence'],
    ['eks:DescribeCluster', 'half'],
    ['sts:AssumeRole', 'silence'],
    ['sts:AssumeRole', 'half'],
  ] as const)('is asked again when it has not for a while, and served from: %s, %s', async ([operation, fault]) => {
    aws.fault = (asked) => (asked === operation ? fault : undefined)
    const upstream = await open(SHORT)
    expect(upstream.problem).toMatch(/^AWS cannot be reached in eu-west-1 \((?:ETIMEDOUT|TimeoutError)\)/)
    expect(aws.seen.filter((asked) => asked === operation)).toHaveLength(3)
    await expect.poll(() => aws.openRequests).toBe(0)
    aws.fault = () => undefined
    await expect.poll(() => upstream.probe(NEVER), { timeout: 10_000 }).toBeUndefined()
    expect((await answerOf(upstream, { target: '/echo' })).statusCode).toBe(200)
    expect(warned).toEqual([])
  })

  test('is given up as a whole when all attempts together take too long', async () => {
    aws.fault = () => 'silence'
    const upstream = await open({ connectMs: 1_000, requestMs: 60_000, questionMs: 300 })
    expect(upstream.problem).toBe('AWS did not answer within 0.3 s in eu-west-1; it is asked again later')
    await expect.poll(() => aws.openRequests).toBe(0)
    aws.fault = () => undefined
    await expect.poll(() => upstream.probe(NEVER), { timeout: 10_000 }).toBeUndefined()
  })

  test('is given up when it is the agent of Pod Identity', async () => {
    for (const [name, value] of Object.entries(fromContainer())) vi.stubEnv(name, value)
    metadata.refusal = 'silence'
    const session = new EksSession(options('ambient'), { ...SHORT, questionMs: 300 })
    await expect(session.describe()).rejects.toThrow('AWS did not answer within 0.3 s in eu-west-1')
    await expect.poll(() => metadata.openRequests).toBe(0)
    metadata.refusal = undefined
    metadata.identity.allowed.add(ROLE)
    expect((await session.describe()).name).toBe('prod')
    session.close()
  })
})

function environmentOf(operation: string, keys: ReturnType<StagedAws['addIdentity']>): Record<string, string> {
  if (operation === 'container') return fromContainer()
  return operation === 'sts:AssumeRoleWithWebIdentity'
    ? { AWS_WEB_IDENTITY_TOKEN_FILE: fileURLToPath(import.meta.url), AWS_ROLE_ARN: ROLE }
    : { AWS_ACCESS_KEY_ID: keys.accessKeyID, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey }
}

describe('what is closed while AWS is silent', () => {
  test('ends the question, asks nothing more, and leaves nothing open', async () => {
    aws.fault = () => 'silence'
    const session = new EksSession(options())
    const question = session.describe()
    const refused = expect(question).rejects.toThrow(/it is asked again later/)
    await expect.poll(() => aws.openRequests).toBe(1)
    session.close()
    await refused
    await expect.poll(() => aws.openRequests).toBe(0)
    const { length } = aws.seen
    await expect(session.describe()).rejects.toThrow('the connector asks AWS no more')
    expect(aws.seen).toHaveLength(length)
  })

  test.for(['eks:DescribeCluster', 'sts:AssumeRole', 'sts:AssumeRoleWithWebIdentity', 'container'] as const)(
    'does not hold the process: %s',
    async (operation) => {
      aws.fault = (asked) => (asked === operation ? 'silence' : undefined)
      metadata.refusal = 'silence'
      const keys = aws.addIdentity({ arn: `arn:aws:iam::${aws.account}:user/a`, allowed: [ROLE] })
      const module = fileURLToPath(new URL('../../src/upstream/eks/eks-session.ts', import.meta.url))
      const program = `
        const { EksSession } = await import(${JSON.stringify(module)})
        const session = new EksSession(${JSON.stringify(options('ambient'))})
        process.once('SIGTERM', () => session.close())
        await session.describe().catch(() => undefined)`
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        env: {
          ...aws.environment,
          ...noFiles,
          ...environmentOf(operation, keys),
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      onTestFinished(() => {
        child.kill('SIGKILL')
      })
      const complaints = text(child.stderr)
      await expect.poll(() => aws.openRequests + metadata.openRequests, { timeout: 20_000 }).toBe(1)
      const begunAtMs = performance.now()
      child.kill('SIGTERM')
      expect(await once(child, 'exit')).toEqual([0, null])
      expect(performance.now() - begunAtMs).toBeLessThan(5_000)
      expect(await complaints).toBe('')
    },
  )
})
