import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { parse, stringify } from 'yaml'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type App, createApp } from '../../src/app.ts'
import type { ConnectorInput } from '../../src/config/connector-schema.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import { createOpener, stageSurroundings, type StagedSurroundings } from '../support/staged-gateway.ts'
import { type StagedAws, startStagedAws } from '../support/staged-aws.ts'
import { type StagedEksCluster, startStagedEksCluster } from '../support/staged-eks.ts'
import { tokenVerifierBinary } from '../support/token-verifier.ts'

const MINUTE_MS = 60_000
const ROLE = 'arn:aws:iam::111122223333:role/teams/postern'
const SEEN_ROLE = 'arn:aws:iam::111122223333:role/postern'

let aws: StagedAws
let cluster: StagedEksCluster
let surroundings: StagedSurroundings
let opener: ReturnType<typeof createOpener>
let app: App
let user: ReturnType<StagedAws['addIdentity']>
const log: string[] = []

beforeAll(async () => {
  const binary = await tokenVerifierBinary()
  aws = await startStagedAws()
  cluster = await startStagedEksCluster(binary, aws, 'prod')
  aws.roles.set(ROLE, { externalID: 'shared', allowed: ['eks:DescribeCluster'] })
  user = aws.addIdentity({ arn: 'arn:aws:iam::111122223333:user/connector', allowed: [ROLE] })
  for (const [name, value] of Object.entries(aws.environment)) vi.stubEnv(name, value)
  vi.stubEnv('STAGED_KEY', user.accessKeyID)
  surroundings = await stageSurroundings()
  await writeFile(join(surroundings.directory, 'secret'), user.secretAccessKey)
  const document = parse(await readFile(surroundings.document, 'utf8')) as ConnectorInput
  const keys = { accessKeyID: { env: 'STAGED_KEY' }, secretAccessKey: { file: 'secret' } }
  const eks = {
    cluster: 'prod',
    region: 'eu-west-1',
    credentials: { keys },
    assumeRole: { roleARN: ROLE, externalID: 'shared' },
  }
  const sockets = document.sockets.map((socket) => ({ ...socket, upstream: { eks } }))
  await writeFile(surroundings.document, stringify({ ...document, sockets }))
  const config = await loadConnectorConfig(surroundings.document)
  app = await createApp(config, { log: pino({ base: null }, { write: (line) => log.push(line) }) })
  await app.start()
  opener = createOpener(surroundings)
}, 5 * MINUTE_MS)
afterAll(async () => {
  opener.agent.destroy()
  await app.stop()
  await cluster.close()
  await aws.close()
  await surroundings.stop()
  vi.unstubAllEnvs()
})

async function get(path: string): Promise<{ readonly statusCode: number; readonly body: string }> {
  const response = await opener.open(`/sockets/production${path}`)
  const body = Buffer.concat((await response.toArray()) as Buffer[]).toString()
  return { statusCode: response.statusCode ?? 0, body }
}

test('a cluster that does not know the role is not ready, and the log says where to look', async () => {
  await expect
    .poll(() => log.join(''))
    .toContain("answered 401; see 'postern eks check --cluster prod --region eu-west-1'")
  const { statusCode, body } = await get('/api/v1/namespaces/default/pods')
  expect(statusCode).toBe(502)
  expect(body).toContain('does not accept the credential of this gateway')
})

test('people get through once it does, and only with what the policy allows', async () => {
  cluster.mapped.set(SEEN_ROLE, { username: 'postern', groups: ['postern-connector'] })
  expect(JSON.parse((await get('/api/v1/namespaces/default/pods')).body)).toMatchObject({ username: 'postern' })
  const before = cluster.tokens.length
  expect((await get('/api/v1/namespaces/kube-system/secrets')).statusCode).toBe(403)
  expect(cluster.tokens.length).toBe(before)
})

test('no token, key or session token is in a log, an audit event or an answer', async () => {
  const answers = [await get('/api/v1/namespaces/default/pods'), await get('/api/v1/namespaces/x/secrets')]
  const audit = await readFile(join(surroundings.directory, 'audit', 'audit.jsonl'), 'utf8')
  const everything = log.join('') + audit + JSON.stringify(answers)
  expect(everything).toContain('socket.readiness')
  for (const secret of [
    ...cluster.tokens,
    user.secretAccessKey,
    user.accessKeyID,
    'session-token-of',
    'k8s-aws-v1',
    'X-Amz-',
  ]) {
    expect(everything).not.toContain(secret)
  }
})
