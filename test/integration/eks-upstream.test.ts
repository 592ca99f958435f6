import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { Secret } from '../../src/document/secret.ts'
import { StatusError } from '../../src/kube/status.ts'
import type { EksOptions } from '../../src/upstream/eks/eks-options.ts'
import { EksUpstream } from '../../src/upstream/eks/eks-upstream.ts'
import { DEFAULT_UPSTREAM_LIMITS } from '../../src/upstream/upstream-limits.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { type StagedEksCluster, startStagedEksCluster } from '../support/staged-eks.ts'
import { tokenVerifierBinary } from '../support/token-verifier.ts'
import { answerOf, failureOf } from '../support/upstream-requests.ts'

const MINUTE_MS = 60_000
const NEVER = new AbortController().signal
const ROLE = 'arn:aws:iam::111122223333:role/teams/postern'

let binary: string
let home: string
let aws: StagedAws
let cluster: StagedEksCluster

beforeAll(async () => {
  binary = await tokenVerifierBinary()
  home = mkdtempSync(join(tmpdir(), 'postern-aws-'))
}, 5 * MINUTE_MS)
afterAll(() => {
  rmSync(home, { recursive: true })
})
beforeEach(async () => {
  aws = await startStagedAws()
  cluster = await startStagedEksCluster(binary, aws, 'prod')
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  vi.stubEnv('HOME', home)
  for (const [name, value] of Object.entries(aws.environment)) vi.stubEnv(name, value)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await cluster.close()
  await aws.close()
})

type Identity = ReturnType<StagedAws['addIdentity']>

function addUser(options: { readonly allowed?: readonly string[]; readonly temporary?: boolean } = {}): Identity {
  const arn = `arn:aws:iam::${aws.account}:user/connector`
  cluster.mapped.set(arn, { username: 'connector', groups: [] })
  return aws.addIdentity({ arn, allowed: ['eks:DescribeCluster'], ...options })
}

function keys({ accessKeyID, secretAccessKey, sessionToken }: Identity): EksOptions['credentials'] {
  return {
    kind: 'keys',
    accessKeyID: { value: new Secret(accessKeyID) },
    secretAccessKey: { value: new Secret(secretAccessKey) },
    sessionToken: sessionToken === '' ? undefined : { value: new Secret(sessionToken) },
  }
}

/** By the upstream that was opened last. */
let told: string[] = []

async function open(options: Partial<EksOptions>, now: () => number = Date.now): Promise<EksUpstream> {
  const defaults = { cluster: 'prod', region: aws.region, fips: false, credentials: { kind: 'ambient' } as const }
  told = []
  const upstream = await EksUpstream.open(
    { ...defaults, assumeRole: undefined, ...options },
    {
      onReloaded: () => told.push('reloaded'),
      onRefused: (problem) => told.push(`refused: ${problem}`),
      onMended: () => told.push('mended'),
    },
    DEFAULT_UPSTREAM_LIMITS,
    now,
  )
  onTestFinished(() => {
    upstream.close()
  })
  return upstream
}

async function whoami(upstream: EksUpstream): Promise<string> {
  const { statusCode, body } = await answerOf(upstream, { target: '/echo' })
  return statusCode === 200 ? (JSON.parse(body.toString()) as { username: string }).username : String(statusCode)
}

/** What the probe says, for the operator; nothing secret is in it. */
async function complaint(upstream: EksUpstream, ...secrets: readonly Identity[]): Promise<string> {
  const error = await failureOf(upstream.probe(NEVER))
  for (const text of [error.message, error.detail, error.stack ?? '', String(error.cause)]) {
    expect(text).not.toContain('k8s-aws-v1')
    for (const { secretAccessKey, sessionToken, accessKeyID } of secrets) {
      for (const secret of [secretAccessKey, accessKeyID, sessionToken || 'none']) expect(text).not.toContain(secret)
    }
  }
  expect(error.message).not.toMatch(/aws|arn:/i)
  expect(error.detail).not.toContain('\n')
  return error.detail
}

describe('credentials', () => {
  test('may be keys', async () => {
    const upstream = await open({ credentials: keys(addUser()) })
    await upstream.probe(NEVER)
    expect(await whoami(upstream)).toBe('connector')
  })

  test('may be in the environment', async () => {
    const { accessKeyID, secretAccessKey, sessionToken } = addUser({ temporary: true })
    vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyID)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
    vi.stubEnv('AWS_SESSION_TOKEN', sessionToken)
    expect(await whoami(await open({}))).toBe('connector')
  })

  test('may be a role, through a profile that chains to another role', async () => {
    const base = addUser()
    const first = `arn:aws:iam::${aws.account}:role/first`
    base.allowed.add(first)
    aws.roles.set(first, { allowed: [ROLE] })
    aws.roles.set(ROLE, { externalID: 'shared', allowed: ['eks:DescribeCluster'] })
    cluster.mapped.set(`arn:aws:iam::${aws.account}:role/postern`, { username: 'by-role', groups: [] })
    const config = join(home, 'config')
    writeFileSync(
      config,
      `[profile base]\naws_access_key_id = ${base.accessKeyID}\naws_secret_access_key = ${base.secretAccessKey}\n` +
        `[profile prod]\nrole_arn = ${first}\nsource_profile = base\n`,
    )
    vi.stubEnv('AWS_CONFIG_FILE', config)
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'none'))
    const upstream = await open({
      credentials: { kind: 'profile', name: 'prod' },
      assumeRole: { roleARN: ROLE, externalID: 'shared', sessionName: 'postern' },
    })
    expect(await whoami(upstream)).toBe('by-role')
    expect(aws.seen).toEqual(expect.arrayContaining(['sts:AssumeRole', 'eks:DescribeCluster', 'sts:GetCallerIdentity']))
  })

  test('are found anew when the cluster refuses what was made of them', async () => {
    const [before, after] = [addUser(), addUser()]
    const secret = join(home, 'secret')
    const id = join(home, 'id')
    const write = ({ accessKeyID, secretAccessKey }: Identity): void => {
      writeFileSync(id, `${accessKeyID}\n`)
      writeFileSync(secret, `${secretAccessKey}\n`)
    }
    write(before)
    let nowMs = Date.now()
    const upstream = await open(
      {
        credentials: {
          kind: 'keys',
          accessKeyID: { file: id },
          secretAccessKey: { file: secret },
          sessionToken: undefined,
        },
      },
      () => nowMs,
    )
    expect(await whoami(upstream)).toBe('connector')
    before.expiresAtMs = 0
    write(after)
    nowMs += 11_000
    expect(await whoami(upstream)).toBe('401')
    await expect.poll(() => whoami(upstream)).toBe('connector')
  })
})

describe('what AWS does not like is said in one line that names what to do:', () => {
  test('a permission that is missing', async () => {
    const user = addUser({ allowed: [] })
    expect(await complaint(await open({ credentials: keys(user) }), user)).toBe(
      'API server of EKS cluster prod in eu-west-1: arn:aws:iam::111122223333:user/connector lacks the IAM permission ' +
        'eks:DescribeCluster on cluster "prod" in eu-west-1; allow it in an IAM policy of that identity',
    )
  })

  test('a cluster that is not in this region', async () => {
    expect(await complaint(await open({ cluster: 'nowhere', credentials: keys(addUser()) }))).toMatch(
      /there is no cluster "nowhere" in eu-west-1 in this account; see 'postern eks discover --region eu-west-1'$/,
    )
  })

  test('a region that is not the one of the endpoint', async () => {
    expect(await complaint(await open({ region: 'us-east-1', credentials: keys(addUser()) }))).toMatch(
      /AWS took the request for one of another region; us-east-1 is not where this endpoint is/,
    )
  })

  test.for([
    [11, /: the clock of this machine is 11 minutes behind that of AWS; set it \(NTP\)/],
    [-11, /: the clock of this machine is 11 minutes ahead of that of AWS; set it \(NTP\)/],
  ] as const)('a clock that is off by %i minutes', async ([minutes, expected]) => {
    aws.clockOffsetMs = minutes * MINUTE_MS
    const upstream = await open({ credentials: keys(addUser()) })
    expect(await complaint(upstream)).toMatch(expected)
    expect(cluster.tokens).toEqual([])
  })

  test('a session that has ended', async () => {
    const user = addUser({ temporary: true })
    user.expiresAtMs = 0
    expect(await complaint(await open({ credentials: keys(user) }), user)).toMatch(
      /: the AWS session token has expired; renew the credentials \(from the keys of the document\)/,
    )
  })

  test('a key that AWS does not know, and one with the secret of another', async () => {
    const user = addUser()
    const foreign = { ...user, accessKeyID: 'AKIAFOREIGN' }
    expect(await complaint(await open({ credentials: keys(foreign) }), foreign)).toMatch(
      /AWS does not know the access key/,
    )
    const mixed = { ...user, secretAccessKey: 'not-this-one' }
    expect(await complaint(await open({ credentials: keys(mixed) }), mixed, user)).toMatch(
      /the secret access key does not belong to the access key/,
    )
  })

  test('too many questions', async () => {
    aws.fault = (operation) =>
      operation.startsWith('eks:') ? { status: 429, code: 'ThrottlingException', message: 'Rate exceeded' } : undefined
    expect(await complaint(await open({ credentials: keys(addUser()) }))).toMatch(
      /: AWS throttles eks:DescribeCluster in eu-west-1; it is asked again later/,
    )
  })

  test('a role that may not be taken on', async () => {
    aws.roles.set(ROLE, { externalID: 'shared' })
    const user = addUser({ allowed: [ROLE] })
    const assumeRole = { roleARN: ROLE, externalID: undefined, sessionName: 'postern' }
    expect(await complaint(await open({ credentials: keys(user), assumeRole }), user)).toMatch(
      /user\/connector may not assume arn:aws:iam::111122223333:role\/teams\/postern; allow sts:AssumeRole in its IAM policy and in the trust policy of the role, which may ask for an externalID$/,
    )
  })

  test('a session of a role that has ended in the chain', async () => {
    const user = addUser({ allowed: [ROLE], temporary: true })
    user.expiresAtMs = 0
    aws.roles.set(ROLE, {})
    const assumeRole = { roleARN: ROLE, externalID: undefined, sessionName: 'postern' }
    expect(await complaint(await open({ credentials: keys(user), assumeRole }), user)).toMatch(
      /the AWS session token has expired; renew the credentials \(from the keys of the document, then role arn:aws:iam::111122223333:role\/teams\/postern\)/,
    )
  })

  test('no credentials at all', async () => {
    vi.stubEnv('AWS_CONFIG_FILE', join(home, 'none'))
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'none'))
    expect(await complaint(await open({}))).toMatch(/no AWS credentials were found \(from the environment, /)
  })

  test('no way to AWS', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1')
    expect(await complaint(await open({ credentials: keys(addUser()) }))).toMatch(
      /AWS cannot be reached in eu-west-1 \(ECONNREFUSED\)/,
    )
  })

  test('a cluster that is not there yet', async () => {
    Object.assign(aws.clusters.get('prod') ?? {}, { status: 'CREATING', endpoint: '' })
    expect(await complaint(await open({ credentials: keys(addUser()) }))).toMatch(
      /cluster "prod" in eu-west-1 has no API server endpoint: it is still being created/,
    )
  })

  test('an identity that the cluster does not know', async () => {
    const user = addUser()
    cluster.mapped.clear()
    expect(await complaint(await open({ credentials: keys(user) }), user)).toMatch(
      /GET \/readyz answered 401; see 'postern eks check --cluster prod --region eu-west-1'$/,
    )
  })
})

test('what was wrong with credentials or clock is found mended', async () => {
  const [ended, user] = [addUser({ temporary: true }), addUser()]
  ended.expiresAtMs = 0
  const paths = ['id', 'secret', 'session'].map((name) => join(home, name))
  const [id = '', secret = '', session = ''] = paths
  const write = (identity: Identity): void => {
    writeFileSync(id, identity.accessKeyID)
    writeFileSync(secret, identity.secretAccessKey)
    writeFileSync(session, identity.sessionToken)
  }
  write(ended)
  let nowMs = Date.now()
  const files = { accessKeyID: { file: id }, secretAccessKey: { file: secret }, sessionToken: { file: session } }
  const upstream = await open({ credentials: { kind: 'keys', ...files } }, () => nowMs)
  expect(await complaint(upstream, ended)).toContain('expired')
  write(addUser({ temporary: true }))
  aws.clockOffsetMs = 11 * MINUTE_MS
  await expect.poll(() => complaint(upstream, user)).toContain('11 minutes behind')
  aws.clockOffsetMs = 0
  nowMs += 2 * MINUTE_MS
  await expect.poll(() => upstream.probe(NEVER)).toBeUndefined()
  expect(await whoami(upstream)).toBe('connector')
})

describe('without a way to the cluster', () => {
  test('a request and an upgrade are refused, and an aborted one hears nothing', async () => {
    const upstream = await open({ credentials: keys(addUser({ allowed: [] })) })
    const general = 'the connector has no way to the API server of this socket at present'
    expect(await failureOf(answerOf(upstream))).toMatchObject({ message: general, status: { code: 503 } })
    const upgrade = { method: 'POST', target: '/x', headers: [], bodyLength: 0 } as const
    await expect(upstream.upgrade(upgrade, 'SPDY/3.1', NEVER)).rejects.toMatchObject({ message: general })
    const error = vi.fn()
    const sink = { head: error, data: () => true, end: error, error }
    upstream.send({ method: 'GET', target: '/', headers: [], bodyLength: 0 }, sink, () => undefined).abort()
    await new Promise(setImmediate)
    expect(error).not.toHaveBeenCalled()
    expect(cluster.tokens).toEqual([])
  })

  test('AWS is asked again, and the way is found', async () => {
    const user = addUser({ allowed: [] })
    const upstream = await open({ credentials: keys(user) })
    await expect(upstream.probe(NEVER)).rejects.toBeInstanceOf(StatusError)
    user.allowed.add('eks:DescribeCluster')
    await expect.poll(() => upstream.probe(NEVER)).toBeUndefined()
    expect(await whoami(upstream)).toBe('connector')
  })
})

test('AWS being away does not end what works, and is told once, in one line, as is its return', async () => {
  let nowMs = Date.now()
  const upstream = await open({ credentials: keys(addUser()) }, () => nowMs)
  expect([upstream.problem, ...told]).toEqual([''])
  aws.fault = (operation) => (operation.startsWith('eks:') ? 'cut' : undefined)
  nowMs += 2 * MINUTE_MS
  cluster.onRequest = (_request, response) => response.destroy()
  await failureOf(answerOf(upstream))
  cluster.onRequest = undefined
  expect(await whoami(upstream)).toBe('connector')
  const mapped = [...cluster.mapped]
  cluster.mapped.clear()
  await failureOf(upstream.probe(NEVER))
  await expect.poll(() => told).toEqual([expect.stringMatching(/^refused: [^\n]+$/)])
  expect(told).toEqual([`refused: ${upstream.problem}`])
  for (const [arn, identity] of mapped) cluster.mapped.set(arn, identity)
  expect(await whoami(upstream)).toBe('connector')
  aws.fault = () => undefined
  await expect.poll(() => told.slice(1)).toEqual(['mended'])
  expect(upstream.problem).toBe('')
})

test('a cluster that has moved is followed; what is under way ends where it is', async () => {
  let nowMs = Date.now()
  const upstream = await open({ credentials: keys(addUser()) }, () => nowMs)
  let silent: ServerResponse | undefined
  cluster.onRequest = (_request, response) => (silent = response)
  const underWay = answerOf(upstream, { target: '/slow' })
  await expect.poll(() => silent).toBeDefined()
  const old = cluster
  const moved = await startStagedEksCluster(binary, aws, 'prod')
  onTestFinished(() => moved.close())
  moved.mapped.set(`arn:aws:iam::${aws.account}:user/connector`, { username: 'at-the-new-place', groups: [] })
  old.mapped.clear()
  nowMs += 2 * MINUTE_MS
  await expect(upstream.probe(NEVER)).rejects.toThrow()
  await expect.poll(() => whoami(upstream)).toBe('at-the-new-place')
  silent?.end('late')
  expect((await underWay).body.toString()).toBe('late')
  expect(told).toEqual(['reloaded'])
  await expect.poll(() => upstream.openConnections).toBe(1)
})

test('a server that the authority of the cluster did not sign gets no token', async () => {
  Object.assign(aws.clusters.get('prod') ?? {}, {
    certificateAuthority: createCertificateAuthority('other').certificate,
  })
  const upstream = await open({ credentials: keys(addUser()) })
  expect(await complaint(upstream)).toMatch(/cannot connect: .*certificate/)
  expect(cluster.tokens).toEqual([])
})

test('nothing is open once it is closed', async () => {
  const upstream = await open({ credentials: keys(addUser()) })
  await whoami(upstream)
  upstream.close()
  await expect.poll(() => upstream.openConnections).toBe(0)
  expect((await failureOf(answerOf(upstream))).message).toBe('the connector is stopping')
})
