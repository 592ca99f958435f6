import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLaptop, type Laptop } from '../support/postern-command.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/policies', import.meta.url))
const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: dev }
spec:
  sockets: [production]
  subjects: { groups: [dev] }
  conditions: { extra: { team: [a] } }
  rules:
  - { verbs: [get, list], resources: [pods], namespaces: [prod] }
  - { verbs: [create], resources: [pods/exec], namespaces: [prod] }
`
const TEST =
  '- { name: t, as: { user: ana, groups: [dev], extra: { team: [a] } }, request: get pods/web -n prod, expect: '

let laptop: Laptop
let policy: string
beforeAll(() => {
  laptop = createLaptop()
  policy = file('dev.yaml', POLICY)
})
afterAll(() => {
  laptop.dispose()
})

function file(name: string, text: string): string {
  const path = join(laptop.home, name)
  writeFileSync(path, text)
  return path
}

const ana = () => ['policy', 'explain', '--policy', policy, '--user', 'ana', '--group', 'dev', '--extra', 'team=a']

interface Answer {
  readonly requestInfo: { readonly verb: string; readonly parts: readonly string[] }
  readonly decision: { readonly effect: string; readonly rule: string }
  readonly error: { readonly kind: string; readonly code: number }
}

describe('postern policy explain', () => {
  test('says for people who allows what, and what kubectl asks besides', async () => {
    const { exitCode, stdout, stderr } = await laptop.run([...ana(), 'exec', 'web', '-n', 'prod', '--', 'sh'])
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toContain('request:  create pods/exec web in prod\n')
    expect(stdout).toContain(`decision: allowed by dev#2 (${policy}:10)\n`)
    expect(stdout).toContain('besides:  kubectl asks get pods web in prod: allowed by dev#1')
  })

  test('says what a rule lacks', async () => {
    const { stdout } = await laptop.run([...ana(), 'delete', 'pods/web', '-n', 'prod'])
    expect(stdout).toContain('decision: denied, no rule allows it\n')
    expect(stdout).toContain('dev#1')
    expect(stdout).toContain('lacks verb "delete"\n')
    expect(stdout).toContain('missing:  { verbs: [delete], resources: [pods], namespaces: [prod] }\n')
  })

  test('says what the gateway asks besides, by what the socket does, also of a document that has mistakes here', async () => {
    const config = file(
      'connector.yaml',
      `apiVersion: postern.dev/v1alpha1
kind: Connector
identity: { issuers: [{ issuer: { url: https://sso.example.com, audiences: [postern] } }] }
sockets:
  - { name: ours, upstream: { inCluster: {} } }
  - { name: theirs, upstream: { inCluster: {} }, forwardAs: subject }
policies: [roles.yaml]
`,
    )
    file(
      'roles.yaml',
      POLICY.replace('sockets: [production]', 'sockets: [ours, theirs]').replace(
        '{ verbs: [get, list], resources: [pods], namespaces: [prod] }',
        '{ verbs: ["*"], resources: [clusterroles] }',
      ),
    )
    const explain = ['policy', 'explain', '--config', config, '--user', 'ana', '--group', 'dev', '--extra', 'team=a']
    const asked = ['create', 'clusterrole', 'reader']
    const ours = await laptop.run([...explain, '--socket', 'ours', ...asked])
    expect(ours.stdout).toContain(
      'decision: denied, since it needs escalate clusterroles.rbac.authorization.k8s.io too\n',
    )
    expect(ours.stdout).toContain('missing:  { verbs: [escalate], apiGroups: [rbac.authorization.k8s.io], ')
    expect(ours.stdout).toContain(
      'needs:    escalate clusterroles.rbac.authorization.k8s.io: denied, no rule allows it\n',
    )
    const theirs = await laptop.run([...explain, '--socket', 'theirs', ...asked])
    expect(theirs.stdout).toContain('decision: allowed by dev#1 ')
  })

  test('shows a request line to programs', async () => {
    const { stdout } = await laptop.run([...ana(), '-o', 'json', '--', 'GET', '/api/v1/namespaces/prod/pods?watch=1'])
    const { requestInfo, decision } = JSON.parse(stdout) as Answer
    expect([requestInfo.verb, decision.effect]).toEqual(['watch', 'no-opinion'])
  })

  test('shows a refusal to programs as the Status that clients get', async () => {
    const { exitCode, stdout } = await laptop.run([...ana(), '-o', 'json', '--', 'GET', '/api//v1'])
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { error: { kind: 'Status', code: 400 } }])
  })

  test('answers a file line by line, and stdin too', async () => {
    const vectors = JSON.parse(
      readFileSync(new URL('../conformance/requestinfo-vectors.json', import.meta.url), 'utf8'),
    ) as { readonly method: string; readonly url: string; readonly expect: object; readonly proxy: string }[]
    const lines = vectors.map(({ method, url }) => JSON.stringify({ method, target: url }))
    const requests = file('requests.jsonl', lines.join('\n'))
    const { stdout } = await laptop.run([...ana(), '--requests', requests])
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Answer)
    expect(answers).toHaveLength(vectors.length)
    for (const [index, { expect: tuple, proxy }] of vectors.entries()) {
      if (proxy === 'reject') expect(answers[index]?.error.kind).toBe('Status')
      else expect(answers[index]?.requestInfo).toEqual(tuple)
    }
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const piped = spawnSync(process.execPath, [main, ...ana(), '--requests', '-'], {
      input: `${lines[0] ?? ''}\nnonsense\n`,
    })
    expect(piped.stdout.toString().split('\n')).toHaveLength(3)
    expect(piped.stdout.toString()).toContain('"code":400')
  })

  test('answers more lines than a pipe holds without a word on standard error', async () => {
    const line = '{"method":"GET","target":"/api/v1/namespaces/prod/secrets/db"}\n'
    const { stdout, stderr } = await laptop.run([...ana(), '--requests', file('many.jsonl', line.repeat(10_000))])
    expect([stdout.split('\n').length, stderr]).toEqual([10_001, ''])
  })

  test.for<[args: string[], exitCode: number, message: string]>([
    [['get', 'pdos'], 64, 'Kubernetes has no "pdos"; did you mean pods?'],
    [[], 64, 'name either a request'],
    [['--at', 'noon', 'get', 'pods'], 64, '--at noon is no time'],
    [['--source-ip', 'x', 'get', 'pods'], 64, '--source-ip x is not an address'],
    [['--extra', 'x', 'get', 'pods'], 64, '--extra x is not KEY=VALUE'],
    [['--requests', '/nonexistent'], 64, '--requests cannot be read'],
    [['--policy', '/nonexistent.yaml', 'get', 'pods'], 78, 'it matches no file'],
  ])('%j is a mistake', async ([args, exitCode, message]) => {
    const result = await laptop.run([...ana(), ...args])
    expect([result.exitCode, result.stdout]).toEqual([exitCode, ''])
    expect(result.stderr).toContain(message)
  })
})

describe('postern policy test', () => {
  test('ends well when all tests pass', async () => {
    const { exitCode, stdout } = await laptop.run(['policy', 'test', EXAMPLES])
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^\d+ passed, 0 failed, 0 rules without a test\n$/)])
  })

  test.for<[expected: string, exitCode: number]>([
    ['allow', 0],
    ['deny', 1],
  ])('of a test that expects %s ends with %i', async ([expected, exitCode]) => {
    const tested = file('tested.yaml', `${POLICY}tests:\n${TEST}${expected} }\n`)
    const result = await laptop.run(['policy', 'test', '-o', 'json', tested])
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
      exitCode,
      { failed: exitCode, tests: [{ policy: 'dev', location: `${tested}:12` }], untested: [{ rule: 'dev#2' }] },
    ])
  })

  test('without tests, or without policies, does not end well', async () => {
    expect(await laptop.run(['policy', 'test', policy])).toMatchObject({ exitCode: 1 })
    expect(await laptop.run(['policy', 'test'])).toMatchObject({ exitCode: 64, stdout: '' })
  })
})

describe('manifests of policies that are Kubernetes objects', () => {
  const MANIFESTS = `apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: postern.dev/v1alpha1
kind: PosternPolicy
metadata: { name: developers, namespace: shop }
spec:
  subjects: { groups: [shop] }
  rules:
    - { verbs: [get, list], resources: [pods] }
tests:
  - { name: reads its pods, as: { user: ana, groups: [shop] }, request: get pods -n shop, expect: allow }
  - { name: reads no others, as: { user: ana, groups: [shop] }, request: get pods -n prod, expect: deny }
`
  const NAME = 'PosternPolicy/shop/developers#1'

  test('are tested, checked and explained where they stand among others', async () => {
    const directory = join(laptop.home, 'manifests')
    mkdirSync(directory)
    const path = file('manifests/shop.yaml', MANIFESTS)
    const tested = await laptop.run(['policy', 'test', directory])
    expect([tested.exitCode, tested.stdout]).toEqual([0, '2 passed, 0 failed, 0 rules without a test\n'])
    const checked = await laptop.run(['policy', 'check', directory])
    expect([checked.exitCode, checked.stdout]).toEqual([0, 'nothing is wrong\n'])
    const explain = ['policy', 'explain', '--policy', directory, '--user', 'ana', '--group', 'shop']
    const inIt = await laptop.run([...explain, 'get', 'pods', '-n', 'shop'])
    expect(inIt.stdout).toContain(`decision: allowed by ${NAME} (${path}:11)\n`)
    const beside = await laptop.run([...explain, 'get', 'pods', '-n', 'prod'])
    expect(beside.stdout).toContain('decision: denied, no rule allows it\n')
    expect(beside.stdout).toContain(`${NAME} (${path}:11) lacks namespace "prod"`)
  })

  test('are told what is wrong with them by file and line', async () => {
    const path = file('bad-manifest.yaml', MANIFESTS.replace('[pods] }', '[pods], namespaces: [prod] }'))
    const { exitCode, stdout } = await laptop.run(['policy', 'check', path])
    expect(exitCode).toBe(78)
    expect(stdout).toContain(`${path}:11: error: spec.rules[0].namespaces: unknown key`)
  })
})

describe('postern policy check', () => {
  const formats: [format: string, shown: RegExp][] = [
    ['text', /:9: warning: dev#1: Kubernetes has no verb lists, did you mean list\? \[unknown-verb\]\n/],
    ['json', /"code": "unknown-verb"/],
    ['sarif', /"ruleId": "unknown-verb"/],
    ['github', /^::warning file=.*,line=9,title=unknown-verb::dev#1: /m],
  ]
  test.for(formats)('prints %s', async ([format, shown]) => {
    const checked = file('checked.yaml', POLICY.replace('get, list', 'get, lists'))
    const { exitCode, stdout } = await laptop.run(['policy', 'check', '-o', format, checked])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(shown)
    expect(await laptop.run(['policy', 'check', '--strict', checked])).toMatchObject({ exitCode: 1 })
  })

  test('fails for what cannot be meant, and for documents that are wrong', async () => {
    const never = file('never.yaml', POLICY.replace('create', 'get'))
    expect(await laptop.run(['policy', 'check', never])).toMatchObject({ exitCode: 1 })
    const wrong = file('wrong.yaml', POLICY.replace('verbs', 'verb'))
    const { exitCode, stdout } = await laptop.run(['policy', 'check', '-o', 'github', wrong])
    expect([exitCode, stdout]).toEqual([78, expect.stringContaining('line=9,title=mistake::')])
  })

  test('holds resources against a cluster', async () => {
    const discovery = file('resources.json', JSON.stringify({ groupVersion: 'v1', resources: [{ name: 'pods' }] }))
    expect(await laptop.run(['policy', 'check', '--discovery', discovery, policy])).toMatchObject({ exitCode: 0 })
    const misspelt = file('misspelt.yaml', POLICY.replace('[pods]', '[pdos]'))
    const { exitCode, stdout } = await laptop.run(['policy', 'check', '--discovery', discovery, misspelt])
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('the cluster has no pdos, did you mean pods?')])
  })
})

test('postern policy export writes two files for Casbin', async () => {
  const directory = join(laptop.home, 'casbin')
  expect(await laptop.run(['policy', 'export', '--casbin', directory, EXAMPLES])).toMatchObject({ exitCode: 0 })
  expect(readFileSync(join(directory, 'model.conf'), 'utf8')).toContain('[matchers]')
  expect(readFileSync(join(directory, 'policy.csv'), 'utf8')).toMatch(/^p, "read-only#1", /m)
})
