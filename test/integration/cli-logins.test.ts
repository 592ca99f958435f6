import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { Logins } from '../../src/identity/logins/logins.ts'
import type { Login } from '../../src/identity/logins/login.ts'
import { signInOf } from '../../src/identity/logins/sign-in.ts'
import { authorizerOf } from '../support/policies.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const SECURITY = `subjects: { users: [ana@example.com] }, rules: [
  { verbs: [list, get, delete], apiGroups: [postern.dev], resources: [logins] } ]`

let issuer: StagedIssuer
let portal: StartedPortal
let laptop: Laptop
let logins: Logins
let borises: readonly [Login, Login]

beforeAll(async () => {
  issuer = await startStagedIssuer()
})
afterAll(async () => {
  await issuer.close()
})
beforeEach(async () => {
  logins = new Logins()
  borises = [enter('boris', 'laptop'), enter('boris', 'desktop')]
  borises[0].seen(Date.now(), '192.0.2.7', 'kubectl/v1.36.0 \u001b]0;owned\u0007')
  const granting = authorizerOf({ security: SECURITY })
  portal = await startPortal({
    issuers: [issuer.options()],
    logins,
    authorize: (attributes) => granting.authorize(attributes),
  })
  laptop = createLaptop()
  const login = {
    version: 1,
    portal: portal.url,
    portalCertificateAuthority: portal.certificateAuthority,
    issuer: issuer.url,
    issuerCertificateAuthority: issuer.certificateAuthority,
    clientID: 'postern',
    idToken: await issuer.sign({ sid: 'own' }),
    refreshToken: '',
    signedInAtMs: 1,
    expiresAtMs: Date.now() + 300_000,
    refreshAtMs: Date.now() + 300_000,
    refreshFailedAtMs: 0,
    refreshFailure: '',
  } as const
  saveLogin({ path: loginPath(laptop.cacheDirectory, login), login })
})
afterEach(async () => {
  laptop.dispose()
  await portal.stop()
})

function enter(who: string, sid: string): Login {
  const subject = { username: `${who}@example.com`, uid: '', groups: ['payments-dev'], extra: {} }
  const authentication = { subject, issuer: issuer.url, expiresAtMs: Date.now() + 300_000 }
  return logins.enter(authentication, signInOf(issuer.url, { sub: who, sid }))
}

const run = (...args: string[]): Promise<CommandResult> => laptop.run(['logins', ...args])
const short = ({ id }: Login): string => id.slice(0, 8)

describe('list', () => {
  test('prints who is signed in, and nothing that a terminal obeys', async () => {
    const { exitCode, stdout } = await run('list')
    expect(exitCode).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^ID +USER +STATE +AGE +SEEN +FROM +CLIENT/)
    expect(lines).toHaveLength(4)
    expect(stdout).toMatch(
      new RegExp(
        `^${short(borises[0])}\\S* +boris@example\\.com +active +\\d+s +\\d+s +192\\.0\\.2\\.7 +kubectl/v1\\.36\\.0 \\\\x1b`,
        'm',
      ),
    )
    expect(lines.filter((line) => /ana@example\.com .* this one$/.test(line))).toHaveLength(1)
  })

  test('narrows to a person, and shows what is over only when asked to', async () => {
    await logins.revoke(borises[0], 'omar@example.com', 'stolen')
    const namesIn = async (...args: string[]): Promise<readonly string[]> => {
      const { stdout } = await run('list', '-o', 'json', '--user', 'boris@example.com', ...args)
      const { kind, items } = JSON.parse(stdout) as { kind: string; items: { metadata: { name: string } }[] }
      expect(kind).toBe('LoginList')
      return items.map(({ metadata }) => metadata.name).toSorted()
    }
    expect(await namesIn()).toEqual([borises[1].id])
    expect(await namesIn('--all')).toEqual(borises.map(({ id }) => id).toSorted())
    expect(await run('list', '--user', 'nobody')).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `You see no such login at ${portal.url}.\n`,
    })
  })
})

test('show prints what is known of a login, and of one’s own by the name current', async () => {
  await logins.revoke(borises[0], 'omar@example.com', 'stolen')
  const { stdout } = await run('show', borises[0].id)
  expect(stdout).toContain(`login:      ${borises[0].id}\n`)
  expect(stdout).toMatch(/^from: {7}192\.0\.2\.7 with kubectl\/v1\.36\.0 \\x1b\]0;owned\\a, /m)
  expect(stdout).toMatch(/^revoked: .* by omar@example\.com$/m)
  expect((await run('show', 'current')).stdout).toMatch(/^state: +active, the one that you ask with$/m)
})

describe('revoke', () => {
  test('ends the logins that are named, and tells why', async () => {
    const { exitCode, stdout } = await run('revoke', short(borises[0]), borises[0].id, '--reason', 'lost & found')
    expect([exitCode, stdout]).toEqual([0, `login ${borises[0].id} is revoked\n`])
    expect(borises[0].revocation).toMatchObject({ by: 'ana@example.com', reason: 'lost & found' })
    expect(borises[1].revocation).toBeNull()
  })

  test('ends all of a person', async () => {
    const { exitCode, stdout } = await run('revoke', '--user', 'boris@example.com')
    expect([exitCode, stdout.trimEnd().split('\n').length]).toEqual([0, 2])
    expect(borises.map(({ revocation }) => revocation?.by)).toEqual(['ana@example.com', 'ana@example.com'])
  })

  test('ends one’s own last, after which every command says what to do', async () => {
    const { exitCode, stdout } = await run('revoke', 'current', borises[0].id)
    expect(exitCode).toBe(0)
    expect(stdout.split('\n')[0]).toContain(borises[0].id)
    const { exitCode: later, stderr } = await run('list')
    expect(later).toBe(1)
    expect(stderr).toMatch(/^postern: [^\n]*this login was revoked by ana@example\.com; sign in again[^\n]*\n$/)
  })

  /** Runs the command on a terminal of its own, and answers its question. */
  async function onTerminal(args: readonly string[], answer: string): Promise<{ code: number; shown: string }> {
    const command = [process.execPath, MAIN, 'logins', 'revoke', ...args].map((word) => `'${word}'`).join(' ')
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
    ['\r', 1, 0],
  ] as const)("on a terminal asks before it revokes somebody else's: %j", async ([answer, code, revoked]) => {
    const ended = await onTerminal([borises[0].id], answer)
    expect(ended.shown).toMatch(/of boris@example\.com, active, last seen \d+s ago from 192\.0\.2\.7/)
    expect([ended.code, borises.filter(({ revocation }) => revocation !== null).length]).toEqual([code, revoked])
  })

  test.for([['current'], ['--user', 'boris@example.com', '--yes']])(
    'on a terminal does not ask for %j',
    async (args) => {
      const { code, shown } = await onTerminal(args, '')
      expect(shown).not.toContain('[y/N]')
      expect([code, logins.list().some(({ revocation }) => revocation !== null)]).toEqual([0, true])
    },
  )

  test.for([
    [[], 64, 'name logins, or a person with --user'],
    [['--user', 'nobody@example.com'], 64, 'you see no login of "nobody@example.com" that is not revoked'],
    [['zzzz'], 64, '"zzzz" is no id of a login, nor the beginning of one'],
    [['22222222-0000-4000-8000-000000000000'], 1, 'not found'],
  ] as const)('%j is one line on stderr', async ([args, code, message]) => {
    const { exitCode, stdout, stderr } = await run('revoke', ...args)
    expect([exitCode, stdout]).toEqual([code, ''])
    expect(stderr).toMatch(/^postern: [^\n]*\n$/)
    expect(stderr).toContain(message)
    expect(borises.map(({ revocation }) => revocation)).toEqual([null, null])
  })
})
