import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { connectorSchema } from '../../src/config/connector-schema.ts'
import { type CommandResult, createLaptop, type Laptop } from '../support/postern-command.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { type StagedEksCluster, startStagedEksCluster } from '../support/staged-eks.ts'
import { tokenVerifierBinary } from '../support/token-verifier.ts'

const MINUTE_MS = 60_000
const ROLE = 'arn:aws:iam::111122223333:role/teams/postern'
const ADMIN = 'arn:aws:iam::111122223333:user/admin'
const MAP_ROLES = `# nodes, made by eksctl
- groups:
    - system:bootstrappers   # keep
    - system:nodes
  rolearn: arn:aws:iam::111122223333:role/nodes
  username: system:node:{{EC2PrivateDNSName}}
`
const ENTRY = `- rolearn: arn:aws:iam::111122223333:role/postern
  username: postern
  groups:
  - postern-connector
`

let binary: string
let laptop: Laptop
let aws: StagedAws
let cluster: StagedEksCluster
let admin: ReturnType<StagedAws['addIdentity']>
let configMap: { data?: Record<string, string>; version: number } | undefined
let written: { readonly method: string; readonly target: string; readonly body: unknown }[]

beforeAll(async () => {
  binary = await tokenVerifierBinary()
}, 5 * MINUTE_MS)
beforeEach(async () => {
  laptop = createLaptop()
  aws = await startStagedAws()
  cluster = await startStagedEksCluster(binary, aws, 'prod')
  cluster.mapped.set(ADMIN, { username: 'admin', groups: ['system:masters'] })
  admin = aws.addIdentity({
    arn: ADMIN,
    allowed: ['eks:DescribeCluster', 'eks:ListClusters', 'eks:DescribeAccessEntry', ROLE],
  })
  aws.roles.set(ROLE, { allowed: ['eks:DescribeCluster', 'eks:DescribeAccessEntry'] })
  configMap = { data: { mapRoles: MAP_ROLES, mapUsers: '[]' }, version: 7 }
  written = []
})
afterEach(async () => {
  laptop.dispose()
  await cluster.close()
  await aws.close()
})

function run(...args: string[]): Promise<CommandResult> {
  return laptop.run(['eks', ...args], {
    ...aws.environment,
    AWS_ACCESS_KEY_ID: admin.accessKeyID,
    AWS_SECRET_ACCESS_KEY: admin.secretAccessKey,
    AWS_REGION: aws.region,
  })
}

/** The part of the API that aws-auth needs: one ConfigMap with optimistic locking, and objects that are applied. */
function serveConfigMap(): void {
  cluster.onRequest = (request, response) => void serve(request, response)
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request
  const answer = (statusCode: number, body: unknown): void => {
    response.writeHead(statusCode).end(JSON.stringify(body))
  }
  if (method === 'GET') {
    if (configMap === undefined) answer(404, { kind: 'Status', message: 'not found' })
    else answer(200, { metadata: { resourceVersion: String(configMap.version) }, data: configMap.data })
    return
  }
  const body = (await json(request)) as { metadata: { resourceVersion?: string }; data: Record<string, string> }
  if (url.includes('/configmaps')) {
    const expected = body.metadata.resourceVersion ?? (method === 'POST' ? 'none' : String(configMap?.version))
    if (configMap !== undefined && expected !== String(configMap.version)) {
      answer(409, { kind: 'Status', message: 'the object has been modified' })
      return
    }
    configMap = { data: { ...configMap?.data, ...body.data }, version: (configMap?.version ?? 0) + 1 }
  }
  written.push({ method, target: url, body })
  answer(method === 'POST' ? 201 : 200, body)
}

describe('eks discover', () => {
  test('lists clusters, page by page, and prints sockets that a document takes', async () => {
    for (const name of ['Prod', 'data_lake']) aws.clusters.set(name, { ...(aws.clusters.get('prod') ?? fail()) })
    const { stdout, stderr, exitCode } = await run('discover')
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    expect(stdout).toMatch(/^NAME +REGION +STATUS +VERSION +ACCESS +AUTHENTICATION\n/)
    expect(stdout).toMatch(/^data_lake +eu-west-1 +ACTIVE +1\.35 +public +API_AND_CONFIG_MAP$/m)
    const { sockets } = parse(stdout.split('\n\n')[1] ?? '') as { sockets: unknown }
    expect(connectorSchema.shape.sockets.parse(sockets)).toMatchObject([
      { name: 'prod-eu-west-1', upstream: { eks: { cluster: 'Prod' } } },
      { name: 'data-lake', upstream: { eks: { cluster: 'data_lake', region: 'eu-west-1' } } },
      { name: 'prod-eu-west-1-2', upstream: { eks: { cluster: 'prod' } } },
    ])
  })

  test('prints what was asked for in JSON and in YAML', async () => {
    const asJSON = await run('discover', '--region', 'eu-west-1', '--assume-role', ROLE, '-o', 'json')
    expect(asJSON.stderr).toMatch(
      /assumed-role\/postern\/postern lacks the IAM permission eks:ListClusters on eu-west-1/,
    )
    expect(JSON.parse(asJSON.stdout)).toEqual({ clusters: [], sockets: [] })
    expect(asJSON.exitCode).toBe(1)
    const fips = await run('discover', '--region', 'us-west-2', '--fips', '-o', 'yaml')
    expect(fips.stderr).toMatch(/an AWS_ENDPOINT_URL of one's own goes without fips/)
    const asYAML = await run('discover', '-o', 'yaml')
    expect(parse(asYAML.stdout)).toEqual({
      sockets: [{ name: 'prod', upstream: { eks: { cluster: 'prod', region: 'eu-west-1' } } }],
    })
  })

  test('lists a cluster that may not be described, and says so', async () => {
    admin.allowed.delete('eks:DescribeCluster')
    const { stdout, stderr, exitCode } = await run('discover')
    expect(stdout).toMatch(/^prod +eu-west-1 +unknown/m)
    expect(stderr).toBe(
      `postern: ${ADMIN} lacks the IAM permission eks:DescribeCluster on cluster "prod" in eu-west-1; allow it in an IAM policy of that identity\n`,
    )
    expect(exitCode).toBe(1)
  })

  test('needs a region that is one', async () => {
    expect(await run('discover', '--region', 'evil.example.com/x')).toMatchObject({ stdout: '', exitCode: 64 })
    const fips = await run('discover', '--region', 'eu-west-1', '--fips')
    expect(fips).toMatchObject({ stdout: '', exitCode: 64 })
    expect(fips.stderr).toMatch(/--fips: eu-west-1 has no such endpoints; us-east-1, .* have/)
  })
})

describe('eks check', () => {
  const check = (...args: string[]): Promise<CommandResult> => run('check', '--cluster', 'prod', ...args)

  test('says who the connector is, step by step', async () => {
    const { stdout, exitCode } = await check()
    expect(stdout.split('\n')).toEqual([
      'credentials  ok     found',
      `cluster      ok     Kubernetes 1.35 at ${cluster.url} (public), authentication mode API_AND_CONFIG_MAP`,
      `identity     ok     ${ADMIN}`,
      'api-server   ok     user admin, groups system:masters',
      '',
    ])
    expect(exitCode).toBe(0)
  })

  test.for([
    [
      'CONFIG_MAP',
      /aws-auth has no entry that matches arn:aws:iam::111122223333:role\/teams\/postern, which has to be arn:aws:iam::111122223333:role\/postern there, without a path/,
    ],
    [
      'API_AND_CONFIG_MAP',
      /there is no access entry for arn:aws:iam::111122223333:role\/teams\/postern, with its path, and aws-auth has no entry/,
    ],
    ['API', /there is no access entry for arn:aws:iam::111122223333:role\/teams\/postern, with its path; see/],
  ] as const)('names the mapping that is missing in mode %s', async ([authenticationMode, expected]) => {
    Object.assign(aws.clusters.get('prod') ?? {}, { authenticationMode })
    const { stdout, exitCode } = await check('--assume-role', ROLE)
    const last = stdout.trim().split('\n').at(-1) ?? ''
    expect(last).toMatch(/^api-server +FAILED /)
    expect(last).toMatch(expected)
    expect(last).toContain(`postern eks aws-auth --role ${ROLE} --cluster prod --region eu-west-1`)
    expect(exitCode).toBe(1)
  })

  test('tells an entry that is there from one that cannot be looked up', async () => {
    aws.clusters.get('prod')?.accessEntries.set(ROLE, { username: 'postern', kubernetesGroups: [] })
    expect((await check('--assume-role', ROLE)).stdout).toContain(`there is an access entry for ${ROLE}`)
    aws.roles.set(ROLE, { allowed: ['eks:DescribeCluster'] })
    expect((await check('--assume-role', ROLE)).stdout).toMatch(
      /which of them could not be looked up: .*lacks the IAM permission eks:DescribeAccessEntry/,
    )
  })

  describe('of a role whose path STS does not tell', () => {
    const SSO = 'AWSReservedSSO_Admin_0123456789abcdef'
    const SESSION = `arn:aws:sts::111122223333:assumed-role/${SSO}/ana@example.com`
    const ENTRY_ARN = `arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/${SSO}`
    const accessEntries = () => (aws.clusters.get('prod') ?? fail()).accessEntries
    const entry = { username: 'ana', kubernetesGroups: [] }
    const checkAs = async (environment: Readonly<Record<string, string>>, ...allowed: string[]): Promise<string> => {
      const { accessKeyID, secretAccessKey, sessionToken } = aws.addIdentity({
        arn: SESSION,
        allowed: ['eks:DescribeCluster', ...allowed],
        temporary: true,
      })
      const { stdout } = await laptop.run(['eks', 'check', '--cluster', 'prod'], {
        ...aws.environment,
        AWS_ACCESS_KEY_ID: accessKeyID,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_SESSION_TOKEN: sessionToken,
        AWS_REGION: aws.region,
        ...environment,
      })
      return stdout.trim().split('\n').at(-1) ?? ''
    }
    const UNKNOWN = `STS does not tell its path, which 'aws iam get-role --role-name ${SSO} --query Role.Arn --output text' does`

    test('finds the access entry by the name of the role', async () => {
      accessEntries().set(ENTRY_ARN.replace('111122223333', '444455556666'), entry)
      expect(await checkAs({}, 'eks:ListAccessEntries')).toContain(`there is no access entry for the role ${SSO},`)
      accessEntries().set(ENTRY_ARN, entry)
      expect(await checkAs({}, 'eks:ListAccessEntries')).toContain(`there is an access entry for ${ENTRY_ARN}, but`)
    })

    test('says how the path is found where there is none, and names the session to go on with', async () => {
      const said = await checkAs({}, 'eks:ListAccessEntries')
      expect(said).toContain(`${UNKNOWN}; see 'postern eks aws-auth --role ${SESSION} `)
    })

    test('claims nothing where entries may not be listed', async () => {
      accessEntries().set(ENTRY_ARN, entry)
      const said = await checkAs({}, 'eks:DescribeAccessEntry')
      expect(said).not.toContain('there is no access entry')
      expect(said).toMatch(/could not be looked up: .* lacks the IAM permission eks:ListAccessEntries .*; STS does not/)
      expect(said).toContain(UNKNOWN)
    })

    test('takes the path from AWS_ROLE_ARN where that is the same role, and no other', async () => {
      accessEntries().set(ENTRY_ARN, entry)
      const allowed = 'eks:DescribeAccessEntry'
      expect(await checkAs({ AWS_ROLE_ARN: ENTRY_ARN }, allowed)).toContain(
        `there is an access entry for ${ENTRY_ARN},`,
      )
      expect(await checkAs({ AWS_ROLE_ARN: ROLE }, allowed)).toContain(UNKNOWN)
    })
  })

  test('stops where the way ends, in JSON too', async () => {
    const { stdout, exitCode } = await run('check', '--cluster', 'nowhere', '-o', 'json')
    expect(JSON.parse(stdout)).toMatchObject({
      cluster: 'nowhere',
      ok: false,
      steps: [
        { name: 'credentials', ok: true },
        { name: 'cluster', ok: false, detail: expect.stringMatching(/there is no cluster "nowhere"/) as unknown },
      ],
    })
    expect(exitCode).toBe(1)
  })

  test('shows a session that STS does not take, and no secret of it', async () => {
    aws.fault = (operation) =>
      operation === 'sts:GetCallerIdentity'
        ? { status: 403, code: 'ExpiredToken', message: 'k8s-aws-v1.secret' }
        : undefined
    const { stdout } = await check()
    expect(stdout).toMatch(/^identity +FAILED the AWS session token has expired; renew the credentials/m)
    expect(stdout).not.toContain('k8s-aws-v1')
  })
})

describe('eks aws-auth', () => {
  const least = ['aws-auth', '--role', ROLE, '--as', 'least', '--impersonate-group', 'dev']

  test('shows the three ways', async () => {
    const { stdout, stderr, exitCode } = await run('aws-auth', '--role', ROLE)
    for (const text of [
      'system:masters',
      '  - GROUP',
      ENTRY,
      'kind: ClusterRoleBinding',
      'AmazonEKSClusterAdminPolicy',
    ]) {
      expect(stdout).toContain(text)
    }
    expect(stdout).toContain(
      `--principal-arn ${ROLE} --type STANDARD --username postern --kubernetes-groups postern-connector`,
    )
    expect(stderr).toContain('an entry with the path /teams/ would match nobody')
    expect(exitCode).toBe(0)
  })

  test('lets IAM tell the path of the role of a session, which access entries need', async () => {
    const session = 'arn:aws:sts::111122223333:assumed-role/postern/ana@example.com'
    const { stdout, stderr } = await run('aws-auth', '--role', session)
    expect(stdout).toContain(ENTRY)
    expect(stdout).not.toContain('--principal-arn arn:')
    expect(stdout).toContain(
      '--principal-arn "$(aws iam get-role --role-name postern --query Role.Arn --output text)" --type STANDARD',
    )
    expect(stderr).toMatch(/a session does not tell the path of its role postern/)
    const told = await run('aws-auth', '--role', session, '--assume-role', ROLE)
    expect(told.stdout).toContain(`--principal-arn ${ROLE} --type STANDARD`)
  })

  test('edits a file, and prints nothing else to stdout', async () => {
    const file = join(laptop.home, 'aws-auth.yaml')
    const head =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: aws-auth, namespace: kube-system }\ndata:\n  mapRoles: |\n'
    const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '    ')
    writeFileSync(file, head + indented(MAP_ROLES))
    const { stdout, exitCode } = await run(...least, '--file', file)
    expect(stdout).toBe(head + indented(MAP_ROLES + ENTRY))
    expect(exitCode).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(head + indented(MAP_ROLES))
  })

  test('shows what it would change in a cluster, and changes nothing', async () => {
    serveConfigMap()
    const { stdout, exitCode } = await run(...least, '--cluster', 'prod')
    expect(stdout).toContain('+- rolearn: arn:aws:iam::111122223333:role/postern\n+  username: postern\n')
    expect(stdout).not.toMatch(/^-[^-]/m)
    expect(exitCode).toBe(0)
    expect(written).toEqual([])
    expect(configMap?.version).toBe(7)
  })

  test('asks before it changes anything, and without a terminal does not', async () => {
    serveConfigMap()
    const { stderr, exitCode } = await run(...least, '--cluster', 'prod', '--apply')
    expect(stderr).toContain('--yes applies without asking')
    expect(exitCode).toBe(1)
    expect(written).toEqual([])
  })

  test('applies rights and mapping, and nothing the second time', async () => {
    serveConfigMap()
    expect(await run(...least, '--cluster', 'prod', '--apply', '--yes')).toMatchObject({ exitCode: 0 })
    expect(configMap?.data).toEqual({ mapRoles: MAP_ROLES + ENTRY, mapUsers: '[]' })
    expect(written.map(({ method, target }) => `${method} ${target}`)).toEqual([
      'PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/postern-connector?fieldManager=postern-eks',
      'PATCH /apis/rbac.authorization.k8s.io/v1/clusterrolebindings/postern-connector?fieldManager=postern-eks',
      'PATCH /api/v1/namespaces/kube-system/configmaps/aws-auth?fieldManager=postern-eks',
    ])
    const version = configMap?.version
    expect(await run(...least, '--cluster', 'prod', '--apply', '--yes')).toMatchObject({ exitCode: 0 })
    expect(configMap?.version).toBe(version)
  })

  test('writes nothing over what somebody else has just written', async () => {
    serveConfigMap()
    const serving = cluster.onRequest
    cluster.onRequest = (request, response) => {
      if (request.method === 'PATCH' && request.url?.includes('configmaps') === true && configMap !== undefined) {
        configMap = { data: { mapRoles: 'of somebody else' }, version: 8 }
      }
      serving?.(request, response)
    }
    const { stderr, exitCode } = await run(
      'aws-auth',
      '--role',
      ROLE,
      '--as',
      'admin',
      '--cluster',
      'prod',
      '--apply',
      '--yes',
    )
    expect(stderr).toMatch(/somebody else has just changed aws-auth; nothing was written/)
    expect(exitCode).toBe(1)
    expect(configMap).toEqual({ data: { mapRoles: 'of somebody else' }, version: 8 })
  })

  test('makes the ConfigMap where there is none', async () => {
    serveConfigMap()
    configMap = undefined
    expect(await run(...least, '--cluster', 'prod', '--apply', '--yes')).toMatchObject({ exitCode: 0 })
    expect(configMap).toEqual({ data: { mapRoles: ENTRY }, version: 1 })
  })

  test('gives commands in its place for a cluster that does not read it', async () => {
    Object.assign(aws.clusters.get('prod') ?? {}, { authenticationMode: 'API' })
    const { stdout, stderr } = await run(...least, '--cluster', 'prod')
    expect(stderr).toContain('reads no aws-auth (authentication mode API)')
    expect(stdout).toMatch(/^aws eks create-access-entry --cluster-name prod --region eu-west-1 [^\n]+\n$/)
  })

  test.for([
    [['--role', 'arn:aws:iam::111122223333:user/ana'], /is not the ARN of an IAM role/],
    [['--role', ROLE, '--as', 'group', '--cluster', 'prod'], /--as group needs --group NAME/],
    [['--role', ROLE, '--apply'], /--apply needs to know what the role shall be/],
    [['--role', ROLE, '--as', 'admin'], /name the aws-auth to edit with --cluster or --file/],
    [['--role', ROLE, '--as', 'admin', '--file', '/nonexistent'], /cannot read \/nonexistent/],
  ] as const)('refuses %j', async ([args, message]) => {
    const { stderr, exitCode } = await run('aws-auth', ...args)
    expect(stderr).toMatch(message)
    expect(exitCode).toBe(64)
  })
})

function fail(): never {
  throw new Error('the staged cluster is missing')
}
