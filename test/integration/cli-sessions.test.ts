import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { MAX_BACKLOG_BYTES } from '../../src/portal/follow.ts'
import { authorizerOf } from '../support/policies.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'
import { stageSession, stageSessions, type StagedSession } from '../support/staged-sessions.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const OPERATORS = `subjects: { users: [ana@example.com] }, rules: [
  { verbs: [list, get, delete], apiGroups: [postern.dev], resources: [sessions, sessions/follow] } ]`

const sessions = stageSessions()
let allowed = true
let issuer: StagedIssuer
let portal: StartedPortal
let laptop: Laptop
let own: StagedSession
let borises: StagedSession

beforeAll(async () => {
  issuer = await startStagedIssuer()
  const [granting, empty] = [authorizerOf({ operators: OPERATORS }), authorizerOf({})]
  portal = await startPortal({
    issuers: [issuer.options()],
    sessions,
    authorize: (attributes) => (allowed ? granting : empty).authorize(attributes),
  })
})
afterAll(async () => {
  await Promise.all([portal.stop(), issuer.close()])
})
beforeEach(async () => {
  allowed = true
  own = stageSession({ id: '11111111-0000-4000-8000-000000000001' })
  borises = stageSession({
    id: '11111111-1000-4000-8000-000000000002',
    username: 'boris@example.com',
    namespace: 'billing',
    socket: 'staging',
    command: ['sh', '-c', 'printf "\u001b]0;owned\u0007"'],
  })
  sessions.all.splice(0, Infinity, own, borises)
  laptop = createLaptop()
  const login = {
    version: 1,
    portal: portal.url,
    portalCertificateAuthority: portal.certificateAuthority,
    issuer: issuer.url,
    issuerCertificateAuthority: issuer.certificateAuthority,
    clientID: 'postern',
    idToken: await issuer.sign(),
    refreshToken: '',
    signedInAtMs: 1,
    expiresAtMs: Date.now() + 300_000,
    refreshAtMs: Date.now() + 300_000,
    refreshFailedAtMs: 0,
    refreshFailure: '',
  } as const
  saveLogin({ path: loginPath(laptop.cacheDirectory, login), login })
})
afterEach(() => {
  laptop.dispose()
})

const run = (...args: string[]): Promise<CommandResult> => laptop.run(['sessions', ...args])

describe('list', () => {
  test('prints ids as long as they have to be, and nothing that a terminal obeys', async () => {
    const { exitCode, stdout } = await run('list')
    expect(exitCode).toBe(0)
    const [head, first, second] = stdout.split('\n')
    expect(head).toMatch(/^ID +KIND +USER +SOCKET +POD +AGE +IDLE +RECORDED +COMMAND$/)
    expect(first).toMatch(/^11111111-0 +exec +ana@example.com +production +payments\/web +\d+s +\d+s +yes +bash -l$/)
    expect(second).toMatch(/^11111111-1 +exec .* +sh -c printf "\\x1b\]0;owned\\a"$/)
  })

  test.for([
    [['--user', 'boris@example.com'], 1],
    [['--socket', 'production'], 0],
    [['--namespace', 'billing'], 1],
    [['--namespace', 'billing', '--socket', 'production'], null],
  ] as const)('narrows by %j', async ([args, index]) => {
    const { stdout, exitCode } = await run('list', '-o', 'json', ...args)
    const expected = index === null ? [] : [[own, borises][index]?.facts.id]
    const { kind, items } = JSON.parse(stdout) as { kind: string; items: { metadata: { name: string } }[] }
    expect([exitCode, kind, items.map(({ metadata }) => metadata.name)]).toEqual([0, 'SessionList', expected])
  })

  test('says on stderr when there is nothing to see', async () => {
    expect(await run('list', '--user', 'nobody')).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `You see no such session at ${portal.url}.\n`,
    })
  })
})

test('show prints the facts of the session whose id begins so', async () => {
  const { exitCode, stdout } = await run('show', '11111111-1')
  expect(exitCode).toBe(0)
  expect(stdout).toContain(`session:  ${borises.facts.id}\n`)
  expect(stdout).toContain('user:     boris@example.com\n')
  expect(stdout).toContain('command:  sh -c printf "\\x1b]0;owned\\a"\n')
  expect(JSON.parse((await run('show', own.facts.id, '-o', 'json')).stdout)).toMatchObject({
    kind: 'Session',
    spec: own.facts,
  })
})

test.for([
  [['show', '1111'], 64, '2 sessions begin with 1111; name more of the id'],
  [['show', '2'], 64, 'you see no session that begins with 2; postern sessions list tells'],
  [['show', '\u001b[2J'], 64, '"\\u001b[2J" is no id of a session, nor the beginning of one'],
  [['end', '11111111-1', '2'], 64, 'you see no session that begins with 2; postern sessions list tells'],
  [['show', '22222222-0000-4000-8000-000000000000'], 1, 'not found'],
  [['watch', '22222222-0000-4000-8000-000000000000'], 1, 'not found'],
] as const)('%j is one line on stderr', async ([args, code, message]) => {
  const { exitCode, stdout, stderr } = await run(...args)
  expect([exitCode, stdout]).toEqual([code, ''])
  expect(stderr).toMatch(/^postern: [^\n]*\n$/)
  expect(stderr).toContain(message)
  expect(borises.endings).toEqual([])
})

describe('end', () => {
  test('ends each session that is named, once, and tells why', async () => {
    expect(await run('end', '11111111-0', '11111111-1', borises.facts.id, '--reason', 'lunch & nap')).toEqual({
      exitCode: 0,
      stdout: [own, borises].map(({ facts }) => `session ${facts.id} is ended\n`).join(''),
      stderr: '',
    })
    for (const { endings } of [own, borises])
      expect(endings).toEqual(['this session was ended by ana@example.com: lunch & nap'])
  })

  test('goes on after one that cannot be ended, and fails', async () => {
    const gone = '22222222-0000-4000-8000-000000000000'
    const { exitCode, stdout, stderr } = await run('end', gone, '11111111-0')
    expect([exitCode, stdout]).toEqual([1, `session ${own.facts.id} is ended\n`])
    expect(stderr).toContain(`sessions.postern.dev "${gone}" not found`)
  })

  /** Runs the command on a terminal of its own, and answers its question. */
  async function onTerminal(id: string, answer: string, ...args: string[]): Promise<{ code: number; shown: string }> {
    const command = [process.execPath, MAIN, 'sessions', 'end', id, ...args].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { HOME: laptop.home, XDG_CACHE_HOME: `${laptop.home}/cache`, PATH: process.env['PATH'], TERM: 'dumb' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (!shown.includes('[y/N]') && `${shown}${chunk}`.includes('[y/N]')) child.stdin.write(answer)
      shown += chunk
    })
    const [code] = (await once(child, 'close')) as [number]
    return { code, shown }
  }

  test.for([
    ['y\r', 0, 1],
    ['yes\r', 0, 1],
    ['\r', 1, 0],
    ['no\r', 1, 0],
    ['\u0004', 1, 0],
  ] as const)("on a terminal asks before it ends somebody else's: %j", async ([answer, code, endings]) => {
    const ended = await onTerminal('11111111-1', answer)
    expect(ended.shown).toContain('exec of boris@example.com in billing/web on staging')
    expect([ended.code, borises.endings.length]).toEqual([code, endings])
  })

  test.for([
    ['11111111-0', []],
    ['11111111-1', ['--yes']],
  ] as const)('on a terminal does not ask for %s with %j', async ([id, args]) => {
    const { code, shown } = await onTerminal(id, '', ...args)
    expect(shown).not.toContain('[y/N]')
    expect([code, own.endings.length + borises.endings.length]).toEqual([0, 1])
  })
})

describe('watch', () => {
  const output = (data: string): string => JSON.stringify([1, 'o', data])
  const watching = /You watch session 11111111-1000\S+ of boris@example.com; ctrl-C leaves\./

  test('shows what the session shows, and nothing that could act on the terminal', async () => {
    const command = laptop.start(['sessions', 'watch', '11111111-1'])
    await command.line(watching)
    borises.emit(output('\u001b[31mred\u001b]52;c;aGk=\u0007 and 名前\r\n'))
    borises.emit(JSON.stringify([2, 'i', 'secret input']))
    borises.emit(output('\u001b[?1049h\u001b[?25lfull screen'))
    borises.finish()
    const { exitCode, stdout, stderr } = await command.result
    expect(exitCode).toBe(0)
    expect(stdout.startsWith('\u001b[31mred and 名前\r\n\u001b[?1049h\u001b[?25lfull screen')).toBe(true)
    expect(stdout).toContain('\u001b[?1049l')
    expect(stdout).toContain('\u001b[?25h')
    expect(stderr).toMatch(/The session has ended\.\n$/)
  })

  test('leaves at ctrl-C, and the session goes on', async () => {
    const command = laptop.start(['sessions', 'watch', '11111111-1'])
    await command.line(watching)
    command.process.kill('SIGINT')
    const { exitCode, stderr } = await command.result
    expect([exitCode, stderr.endsWith('You have left; the session goes on.\n')]).toEqual([0, true])
    await expect.poll(() => borises.followers).toBe(0)
    expect(borises.endings).toEqual([])
  })

  test('fails with the reason when it breaks off before the session ends', async () => {
    const command = laptop.start(['sessions', 'watch', '11111111-1'])
    await command.line(watching)
    allowed = false
    const { exitCode, stderr } = await command.result
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/\npostern: following ended: the policy changed, [^\n]*\n$/)
  })

  test('fails when what is read of it stands still for too long', async () => {
    const command = laptop.start(['sessions', 'watch', '11111111-1'])
    await command.line(watching)
    command.process.kill('SIGSTOP')
    const line = output('x'.repeat(64 * 1024))
    for (let emitted = 0; borises.followers > 0; emitted += line.length) {
      expect(emitted).toBeLessThan(64 * MAX_BACKLOG_BYTES)
      borises.emit(line)
      await new Promise(setImmediate)
    }
    command.process.kill('SIGCONT')
    const { exitCode, stderr } = await command.result
    expect(exitCode).toBe(1)
    expect(stderr).toContain('postern: following ended: you read more slowly than the session goes on')
  })

  test('of a session that nothing records says so', async () => {
    const unrecorded = stageSession({ id: '33333333-0000-4000-8000-000000000003', record: 'off' })
    sessions.all.push(unrecorded)
    const { exitCode, stderr } = await run('watch', '3')
    expect([exitCode, stderr]).toEqual([
      1,
      `postern: ${portal.url} answered 409: session ${unrecorded.facts.id} is not recorded, so it cannot be followed\n`,
    ])
  })
})
