import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { EksOptions } from '../../src/upstream/eks/eks-options.ts'
import { OpenedCluster } from '../../src/upstream/eks/opened-cluster.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { startStagedMetadata, type StagedMetadata } from '../support/staged-aws-metadata.ts'

const ROLE = 'arn:aws:iam::111122223333:role/teams/postern'
const TOKEN = 'token-of-the-service-account'

let home: string
let aws: StagedAws
let metadata: StagedMetadata
let url: string

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'postern-aws-'))
  aws = await startStagedAws()
  aws.clusters.set('prod', {
    status: 'ACTIVE',
    endpoint: 'https://127.0.0.1:1',
    certificateAuthority: 'of no matter',
    authenticationMode: 'API',
    publicEndpoint: true,
    accessEntries: new Map(),
  })
  aws.roles.set(ROLE, { allowed: ['eks:DescribeCluster'] })
  const arn = `arn:aws:sts::${aws.account}:assumed-role/of-the-machine/i-0123`
  metadata = await startStagedMetadata(
    aws.addIdentity({ arn, allowed: ['eks:DescribeCluster', ROLE], temporary: true }),
  )
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  const { AWS_ENDPOINT_URL = '' } = aws.environment
  url = AWS_ENDPOINT_URL
  stub({
    HOME: home,
    AWS_ENDPOINT_URL_EKS: url,
    AWS_ENDPOINT_URL_STS: url,
    AWS_CONFIG_FILE: join(home, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
  })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
  await metadata.close()
  await aws.close()
})

function stub(environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
}

function write(name: string, content: string): string {
  const path = join(home, name)
  writeFileSync(path, content)
  return path
}

function stubServiceAccount(): void {
  aws.webIdentities.set(TOKEN, ROLE)
  stub({ AWS_WEB_IDENTITY_TOKEN_FILE: write('token', TOKEN), AWS_ROLE_ARN: ROLE, AWS_ROLE_SESSION_NAME: 'pod' })
}

/** As the webhook of EKS Pod Identity writes it into a pod. */
function stubPodIdentity(): void {
  stub({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${metadata.url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: write('eks-pod-identity-token', metadata.token),
  })
}

/** Who the cluster takes the connector for. */
async function identity(options: Partial<EksOptions> = {}): Promise<string> {
  const defaults = { cluster: 'prod', region: aws.region, fips: false, credentials: { kind: 'ambient' } as const }
  const opened = new OpenedCluster({ ...defaults, assumeRole: undefined, ...options })
  onTestFinished(() => {
    opened.close()
  })
  return (await opened.identify(await opened.describe(), url)).arn
}

const assumeRole = { roleARN: ROLE, externalID: undefined, sessionName: 'postern' }

describe('the connector is', () => {
  test('the role of its service account (IRSA)', async () => {
    stubServiceAccount()
    expect(await identity()).toBe('arn:aws:sts::111122223333:assumed-role/postern/pod')
    expect(aws.seen).toEqual(['sts:AssumeRoleWithWebIdentity', 'eks:DescribeCluster', 'sts:GetCallerIdentity'])
  })

  test('the role of its service account through a profile', async () => {
    aws.webIdentities.set(TOKEN, ROLE)
    write(
      'config',
      `[profile irsa]\nrole_arn = ${ROLE}\nweb_identity_token_file = ${write('token', TOKEN)}\nrole_session_name = p\n`,
    )
    expect(await identity({ credentials: { kind: 'profile', name: 'irsa' } })).toMatch(/assumed-role\/postern\/p$/)
  })

  test('the role of its Pod Identity association, with the token as it is now', async () => {
    stubPodIdentity()
    expect(await identity()).toBe(metadata.identity.arn)
    metadata.token = 'the-next-token'
    stubPodIdentity()
    expect(await identity()).toBe(metadata.identity.arn)
    expect(metadata.seen).toEqual(['GET /v1/credentials', 'GET /v1/credentials'])
  })

  test('the role of its machine (IMDS)', async () => {
    stub({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url })
    expect(await identity()).toBe(metadata.identity.arn)
    expect(metadata.seen[0]).toBe('PUT /latest/api/token')
  })

  test('a role that is taken on with any of them', async () => {
    stub({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url })
    expect(await identity({ assumeRole })).toMatch(/assumed-role\/postern\/postern$/)
  })

  test('who a profile of the shared files says, whose name may be in the environment', async () => {
    const [plain, named] = ['plain', 'named'].map((name) =>
      aws.addIdentity({ arn: `arn:aws:iam::${aws.account}:user/${name}`, allowed: ['eks:DescribeCluster'] }),
    )
    if (plain === undefined || named === undefined) throw new Error('two identities were added')
    const block = (name: string, { accessKeyID, secretAccessKey }: typeof plain): string =>
      `[${name}]\naws_access_key_id = ${accessKeyID}\naws_secret_access_key = ${secretAccessKey}\n`
    write('credentials', block('default', plain) + block('other', named))
    expect(await identity()).toBe(plain.arn)
    expect(await identity({ credentials: { kind: 'profile', name: 'other' } })).toBe(named.arn)
    stub({ AWS_PROFILE: 'other', AWS_ACCESS_KEY_ID: plain.accessKeyID, AWS_SECRET_ACCESS_KEY: plain.secretAccessKey })
    expect(await identity()).toBe(named.arn)
  })

  test('who a credential process says', async () => {
    const { accessKeyID, secretAccessKey, sessionToken, arn } = metadata.identity
    const answer = {
      Version: 1,
      AccessKeyId: accessKeyID,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
    }
    write('config', `[profile run]\ncredential_process = cat ${write('answer.json', JSON.stringify(answer))}\n`)
    expect(await identity({ credentials: { kind: 'profile', name: 'run' } })).toBe(arn)
  })

  test('the first of these that is there: environment, files, service account, container, machine', async () => {
    stub({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url })
    stubPodIdentity()
    await identity()
    expect(metadata.seen).toEqual(['GET /v1/credentials'])
    stubServiceAccount()
    expect(await identity()).toMatch(/assumed-role\/postern\/pod$/)
    const user = aws.addIdentity({ arn: `arn:aws:iam::${aws.account}:user/ana`, allowed: ['eks:DescribeCluster'] })
    stub({ AWS_ACCESS_KEY_ID: user.accessKeyID, AWS_SECRET_ACCESS_KEY: user.secretAccessKey })
    expect(await identity()).toBe(user.arn)
    expect(metadata.seen).toHaveLength(1)
  })
})

describe('what refuses is named, with what to do, and no secret:', () => {
  const refusal = async (options: Partial<EksOptions> = {}): Promise<string> => {
    const error: unknown = await identity(options).catch((thrown: unknown) => thrown)
    if (!(error instanceof Error)) throw new Error('it was not refused')
    for (const secret of [TOKEN, metadata.token, metadata.identity.secretAccessKey, 'OIDCSECRET']) {
      expect(error.message + String(error.stack)).not.toContain(secret)
    }
    return error.message
  }

  test('a role that does not trust the service account', async () => {
    stubServiceAccount()
    aws.webIdentities.clear()
    expect(await refusal()).toBe(
      'AWS does not let this service account take on its role (sts:AssumeRoleWithWebIdentity); the trust policy of the role has ' +
        'to name the OIDC provider of the cluster that the connector runs in, and system:serviceaccount:NAMESPACE:NAME as its :sub',
    )
  })

  test.for([
    [
      'InvalidIdentityToken',
      'No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/OIDCSECRET',
      /^the account of the role has no IAM OIDC provider for the cluster .*; create it: 'eksctl utils associate-iam-oidc-provider /,
    ],
    [
      'InvalidIdentityToken',
      'Incorrect token audience',
      /does not accept the web identity token .*; its audience has to be /,
    ],
    [
      'ExpiredTokenException',
      'Token expired: current date/time 2 must be before the expiration date/time 1',
      /^the web identity token has expired; /,
    ],
  ] as const)('a web identity token: %s, %s', async ([code, message, expected]) => {
    stubServiceAccount()
    aws.fault = (operation) =>
      operation === 'sts:AssumeRoleWithWebIdentity' ? { status: 400, code, message } : undefined
    expect(await refusal()).toMatch(expected)
  })

  test.for([
    [
      {
        status: 400,
        body: '[1b2c]: (AccessDeniedException): Unauthorized Exception! EKS does not have permissions to assume the associated role., fault: client',
      },
      /refuses \(AccessDeniedException\); for EKS Pod Identity, the role has to trust pods\.eks\.amazonaws\.com with sts:AssumeRole and sts:TagSession/,
    ],
    [
      { status: 404, body: '[1b2c]: (ResourceNotFoundException): No Pod Identity association found., fault: client' },
      /refuses \(ResourceNotFoundException\); .*'aws eks create-pod-identity-association'$/,
    ],
    [{ status: 400, body: '{"code":"AccessDeniedException"}' }, /refuses \(AccessDeniedException\)/],
    [{ status: 500, body: 'token-of-the-pod' }, /refuses \(status 500\)/],
    [{ status: 200, body: '{"AccessKeyId":1}' }, /refuses \(something else than credentials\)/],
  ] as const)('the agent of Pod Identity: %j', async ([refused, expected]) => {
    stubPodIdentity()
    metadata.refusal = refused
    const said = await refusal()
    expect(said).toMatch(expected)
    expect(said).not.toMatch(/eks:DescribeCluster|Unauthorized/)
  })

  test('an agent of Pod Identity that is away', async () => {
    stubPodIdentity()
    stub({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/v1/credentials' })
    expect(await refusal()).toMatch(
      /cannot be reached \(ECONNREFUSED\); for EKS Pod Identity, see to its agent on this node$/,
    )
  })

  test.for(['http://metadata.example.com/x', 'http://127.0.0.1.example.com/x', 'http://10.0.0.1/x', 'nonsense'])(
    'an address of the container’s credentials that the token must not go to: %s',
    async (address) => {
      stubPodIdentity()
      stub({ AWS_CONTAINER_CREDENTIALS_FULL_URI: address })
      expect(await refusal()).toMatch(
        /^AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this machine/,
      )
    },
  )

  test('a token file that is not there', async () => {
    stubPodIdentity()
    stub({ AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(home, 'none') })
    expect(await refusal()).toMatch(/^cannot read .*\/none: no such file/)
    stub({ AWS_WEB_IDENTITY_TOKEN_FILE: join(home, 'none'), AWS_ROLE_ARN: ROLE })
    expect(await refusal()).toMatch(/^cannot read .*\/none \(ENOENT\)$/)
  })

  test('a machine without a metadata service, which is no credentials at all', async () => {
    expect(await refusal()).toMatch(/^no AWS credentials were found \(from the environment, /)
    expect(await refusal({ assumeRole })).toMatch(/^no AWS credentials were found /)
  })

  test('a role that the role of the machine may not take on', async () => {
    stub({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url })
    metadata.identity.allowed.delete(ROLE)
    expect(await refusal({ assumeRole })).toMatch(
      /assumed-role\/of-the-machine\/i-0123 may not assume arn:aws:iam::111122223333:role\/teams\/postern; allow sts:AssumeRole/,
    )
  })
})
