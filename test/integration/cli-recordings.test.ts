import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadPublicKey } from '../../src/audit/recording-store/encryption.ts'
import { openDirectoryStore, type DirectoryStore } from '../../src/audit/recording-store/directory-store.ts'
import { loginPath, saveLogin } from '../../src/client/login-cache-writer.ts'
import { RunningProgram } from '../e2e/running-program.ts'
import { keepRecordings, type RecordingToKeep } from '../support/kept-recordings.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'
import { factsOf, manifestOf } from '../support/staged-sessions.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const ANA = '11111111-0000-4000-8000-000000000001'
const BORIS = '22222222-0000-4000-8000-000000000002'
const FORWARD = '33333333-0000-4000-8000-000000000003'
const HOSTILE = '\x1b]0;owned\x07\u202e'
const START = Date.parse('2026-07-01T08:00:00Z')

const recordings: readonly RecordingToKeep[] = [
  {
    manifest: manifestOf(factsOf({ id: ANA, command: ['sh', '-c', `ls ${HOSTILE}`], startedAtMs: START }), {
      outcome: { endedAtMs: START + 65_000, exitCode: 3, message: '', endedBy: '' },
      files: [{ direction: 'download', path: `etc/${HOSTILE}`, type: 'file', byteLength: 2048, hash: 'sha256:ab' }],
    }),
    events: [
      [0.1, 'o', '\x1b]0;owned\x07\x1b[1;32mana\x1b[0m$ '],
      [0.4, 'i', 'hunter2\r'],
      [0.5, 'o', 'lss\b\x1b[K\r\n'],
      [0.6, 'r', '100x30'],
      [0.7, 'o', '\x1b[?1049h\x1b[2;5H名前\x1b]52;c;ZXZpbA==\x07\x05\x1b[6n\r\n'],
      [0.8, 'o', 'needle 😀\r\n'],
    ],
  },
  {
    manifest: manifestOf(
      factsOf({
        id: BORIS,
        username: 'boris@example.com',
        namespace: 'billing',
        socket: 'staging',
        tty: false,
        startedAtMs: START + 1000,
      }),
      { outcome: { endedAtMs: START + 1250, exitCode: null, message: '', endedBy: 'it was idle for 20m' } },
    ),
    events: [
      [0.1, 'o', 'out\n'],
      [0.2, 'e', 'stderr'],
      [0.2, 'o', 'err\n'],
    ],
  },
  {
    manifest: manifestOf(
      factsOf({ id: FORWARD, kind: 'portforward', command: [], tty: false, startedAtMs: START + 2000 }),
      {
        connections: [{ port: 5432, sentBytes: 10, receivedBytes: 20, openedAtMs: 5, closedAtMs: 1005, error: '' }],
      },
    ),
    events: [],
  },
]

let laptop: Laptop
let directory: string
beforeAll(async () => {
  laptop = createLaptop()
  directory = join(laptop.home, 'recordings')
  await keepRecordings(directory, null, recordings)
})
afterAll(() => {
  laptop.dispose()
})

const run = (...args: string[]): Promise<CommandResult> => laptop.run(['recordings', ...args])
const here = (...args: string[]): Promise<CommandResult> => run(...args, '--directory', directory)

describe('a directory', () => {
  test('is listed, newest first, and nothing in it reaches the terminal', async () => {
    const { stdout, stderr, exitCode } = await here('list')
    expect([exitCode, stderr]).toEqual([0, ''])
    const [head, ...rows] = stdout.trim().split('\n')
    expect(head).toMatch(/^ID +STARTED +DURATION +USER +SOCKET +POD +KIND +STATE +EXIT +COMMAND$/)
    expect(rows.map((row) => row.slice(0, 8))).toEqual(['33333333', '22222222', '11111111'])
    expect(rows[2]).toMatch(
      /^11111111 +2026-07-01T08:00:00Z +1m5s +ana@example.com +production +payments\/web +exec +complete +3 +sh -c 'ls \\x1b\]0;owned\\a\\u202e'$/,
    )
    expect(rows[1]).toMatch(/ 250ms +boris@example.com +staging +billing\/web +exec +complete +bash -l$/)
  })

  test.for([
    [['--user', 'boris@example.com'], [BORIS]],
    [
      ['--namespace', 'payments'],
      [FORWARD, ANA],
    ],
    [['--pod', 'web', '--socket', 'staging'], [BORIS]],
    [['--since', '2026-07-01T08:00:02Z'], [FORWARD]],
    [['--since', '1m'], []],
  ] as const)('is narrowed by %j', async ([filters, ids]) => {
    const { stdout } = await here('list', '-o', 'json', ...filters)
    const list = JSON.parse(stdout) as { kind: string; items: { metadata: { name: string } }[] }
    expect([list.kind, ...list.items.map(({ metadata }) => metadata.name)]).toEqual(['RecordingList', ...ids])
  })

  test('shows a recording for people and for programs', async () => {
    const { stdout } = await here('show', '1111')
    expect(stdout).toMatch(/^User: +ana@example.com$/m)
    expect(stdout).toMatch(/^Exit code: +3$/m)
    expect(stdout).toMatch(/^download +file +2.0 KiB +ab +etc\/\\x1b\]0;owned\\a\\u202e$/m)
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
    expect((await here('show', FORWARD)).stdout).toMatch(/^5432 +\+5ms +1s +10 B +20 B/m)
    expect((await here('show', BORIS)).stdout).toMatch(/^Ended by: +it was idle for 20m$/m)
    const { stdout: json } = await here('show', ANA, '-o', 'json')
    expect(JSON.parse(json)).toMatchObject({
      apiVersion: 'postern.dev/v1alpha1',
      kind: 'Recording',
      metadata: { name: ANA, creationTimestamp: '2026-07-01T08:00:00Z' },
      spec: { id: ANA, username: 'ana@example.com' },
      status: { state: 'complete', outcome: { exitCode: 3 } },
    })
  })

  test('plays as text where no terminal is, and finds text in it', async () => {
    expect((await here('play', ANA)).stdout).toBe('ana$ ls\n    名前\nneedle 😀\n')
    expect((await here('play', ANA, '--from', '750ms')).stdout).toBe('needle 😀\n')
    expect((await here('play', BORIS)).stdout).toBe('out\nerr\n')
    expect((await here('play', ANA, '--search', 'NEEDLE')).stdout).toBe('TIME    LINE\n800ms   needle 😀\n')
    const { stdout, exitCode } = await here('play', ANA, '--search', 'hunter2', '-o', 'json')
    expect([exitCode, JSON.parse(stdout)]).toEqual([1, { matches: [], dropped: 0 }])
    expect((await here('play', ANA, '--raw')).stdout).toContain('\x1b]52;c;ZXZpbA==\x07\x05\x1b[6n')
  })

  test('is exported as an asciicast, sanitised unless it is to be raw', async () => {
    const { stdout } = await here('export', ANA, '--format', 'asciicast')
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { version: 2, width: 80, height: 24, timestamp: START / 1000 },
      [0.1, 'o', '\x1b[1;32mana\x1b[0m$ '],
      [0.5, 'o', 'lss\b\x1b[K\r\n'],
      [0.6, 'r', '100x30'],
      [0.7, 'o', '\x1b[?1049h\x1b[2;5H名前\r\n'],
      [0.8, 'o', 'needle 😀\r\n'],
    ])
    const file = join(laptop.home, 'raw.cast')
    const { exitCode, stderr } = await here('export', ANA, '--format', 'asciicast', '--raw', '--file', file)
    expect([exitCode, stderr]).toEqual([0, `Recording ${ANA} is in ${file}.\n`])
    expect(readFileSync(file)).toEqual(readFileSync(join(directory, ANA, 'recording.cast')))
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('is exported as a page that holds all it needs', async () => {
    const { stdout, exitCode } = await here('export', ANA, '--format', 'html')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^<!doctype html>[^]*<\/html>\n$/)
    expect(stdout).toContain('AsciinemaPlayer')
    expect(stdout).not.toContain('ZXZpbA==')
    expect(stdout).not.toMatch(/<(link|img|iframe)|<script src/)
  })

  test.for([
    [['show', '9999'], 'there is no recording 9999'],
    [['show', BORIS.replace('2', '9')], 'there is no recording 92222222-0000-4000-8000-000000000002'],
    [['show', '../../etc'], '"../../etc" is no recording; name at least 4 characters of its id'],
    [['play', ANA, '--from', 'soon'], '--from is a duration such as 2s or 1m30s'],
    [['list', '--since', 'yesterday'], '--since is no time; write it as 24h or as 2026-07-01T08:00:00Z'],
    [['export', ANA, '--format', 'html', '--raw'], '--raw goes with --format asciicast only'],
    [['show', ANA, '--key', '/nonexistent'], /^postern: --key \/nonexistent cannot be used: .*\n$/],
    [['play', ANA, '--speed', '0'], /'--speed <FACTOR>' argument '0' is invalid/],
    [['list', '--portal', 'https://p'], /cannot be used with option/],
  ] as const)('%j is a mistake', async ([args, message]) => {
    const { exitCode, stdout, stderr } = await here(...args)
    expect([exitCode, stdout]).toEqual([64, ''])
    if (typeof message === 'string') expect(stderr).toBe(`postern: ${message}\n`)
    else expect(stderr).toMatch(message)
    expect(stderr.split('\n')).toHaveLength(2)
  })

  test('that is none is told', async () => {
    const { exitCode, stderr } = await run('list', '--directory', '/nonexistent')
    expect(exitCode).toBe(64)
    expect(stderr).toMatch(/^postern: --directory cannot be read: ENOENT.*\n$/)
  })
})

test('a recording that is none is told by its id', async () => {
  const broken = join(laptop.home, 'broken')
  await keepRecordings(broken, null, recordings)
  writeFileSync(join(broken, ANA, 'recording.cast'), '{"version":2,"width":80,"height":24}\n{}\n[1,"o","x"]\n')
  const { exitCode, stderr } = await run('play', ANA, '--directory', broken)
  expect([exitCode, stderr]).toEqual([1, `postern: recording ${ANA} cannot be read: line 2 is no event\n`])
})

describe('verify', () => {
  test('finds recordings as they were written, or where they are not', async () => {
    const damaged = join(laptop.home, 'damaged')
    await keepRecordings(damaged, null, recordings)
    expect(await run('verify', '--directory', damaged)).toMatchObject({ exitCode: 0 })

    truncateSync(join(damaged, ANA, 'recording.cast'), statSync(join(damaged, ANA, 'recording.cast')).size - 20)
    appendFileSync(join(damaged, BORIS, 'recording.cast'), '[9,"o","added"]\n')
    writeFileSync(join(damaged, FORWARD, 'manifest.json'), '{}')
    const { exitCode, stdout } = await run('verify', '--directory', damaged, '-o', 'json')
    expect(exitCode).toBe(65)
    const verdicts = (JSON.parse(stdout) as { id: string; verdict: string }[]).map(({ id, verdict }) => [id, verdict])
    expect(Object.fromEntries(verdicts)).toEqual({
      [ANA]: 'truncated',
      [BORIS]: 'altered',
      [FORWARD]: 'manifest-altered',
    })
    expect((await run('verify', '1111', '--directory', damaged)).stdout).toMatch(
      /^11111111-.* truncated +bytes \d+ to/m,
    )
    expect(await run('verify', ANA, '--directory', directory)).toMatchObject({ exitCode: 0 })
  })
})

describe('an encrypted directory', () => {
  test('is read with the key, and told to need it without', async () => {
    const encrypted = join(laptop.home, 'encrypted')
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const [publicFile, keyFile] = [join(laptop.home, 'public.pem'), join(laptop.home, 'auditor.pem')]
    writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }))
    writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    await keepRecordings(encrypted, await loadPublicKey(publicFile), recordings)

    const sealed = await run('list', '--directory', encrypted)
    expect(sealed.stdout).toMatch(/^11111111 .* \(encrypted\)$/m)
    expect(sealed.stdout).not.toContain('ls')
    expect((await run('list', '--directory', encrypted, '--key', keyFile)).stdout).toMatch(/^11111111 .* sh -c 'ls /m)
    expect(await run('play', ANA, '--directory', encrypted)).toEqual({
      exitCode: 64,
      stdout: '',
      stderr: `postern: recording ${ANA} is encrypted; name the private key that opens it with --key FILE\n`,
    })
    expect((await run('play', ANA, '--directory', encrypted, '--key', keyFile)).stdout).toContain('needle')
    expect((await run('show', ANA, '--directory', encrypted, '--key', keyFile)).stdout).toMatch(/^download +file/m)
    expect(await run('verify', '--directory', encrypted)).toMatchObject({ exitCode: 0 })

    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    writeFileSync(keyFile, other.export({ type: 'pkcs8', format: 'pem' }))
    const { exitCode, stdout, stderr } = await run('play', ANA, '--directory', encrypted, '--key', keyFile)
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^postern: the recording is encrypted to the key .*, not to .*\n$/)
  })
})

describe('a portal', () => {
  let issuer: StagedIssuer
  let portal: StartedPortal
  let store: DirectoryStore
  beforeAll(async () => {
    issuer = await startStagedIssuer()
    const served = join(laptop.home, 'served')
    mkdirSync(served)
    await keepRecordings(served, null, recordings)
    store = await openDirectoryStore(served, null, { onProblem: () => undefined, onInterrupted: () => undefined })
    portal = await startPortal({ issuers: [issuer.options()], recordings: store })
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
  afterAll(async () => {
    await Promise.all([portal.stop(), issuer.close()])
    await store.close()
  })

  test('gives people their own recordings, as a directory does', async () => {
    const { stdout } = await run('list')
    expect(stdout.split('\n').map((row) => row.slice(0, 8))).toEqual(['ID      ', '33333333', '11111111', ''])
    expect(await run('show', '1111')).toEqual(await here('show', '1111'))
    expect(await run('show', ANA, '-o', 'json')).toEqual(await here('show', ANA, '-o', 'json'))
    expect(await run('play', ANA)).toEqual(await here('play', ANA))
    expect(await run('export', ANA, '--format', 'html')).toEqual(await here('export', ANA, '--format', 'html'))
    const { exitCode, stdout: verified } = await run('verify', '-o', 'json')
    expect(exitCode).toBe(0)
    expect(JSON.parse(verified)).toMatchObject([
      { id: FORWARD, verdict: 'intact' },
      { id: ANA, verdict: 'intact' },
    ])
  })

  test("does not give other people's", async () => {
    for (const args of [['show'], ['play'], ['export', '--format', 'asciicast', '--raw'], ['verify']]) {
      const { exitCode, stdout, stderr } = await run(...args, BORIS)
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^postern: .* answered 404: .*not found\n$/)
    }
  })
})

test('on a terminal it plays in time, obeys keys, and leaves the terminal as it was', async () => {
  const slow = join(laptop.home, 'slow')
  const [ana] = recordings
  if (ana === undefined) throw new Error('there is none')
  await keepRecordings(slow, null, [
    {
      ...ana,
      events: [
        [0.1, 'o', '\x1b]0;owned\x07\x1b[?1049h\x1b[?25l\x1b[31mfirst\r\n'],
        [200, 'o', '\x1b[2;5rsecond\r\n'],
        [7200, 'o', 'never'],
      ],
    },
  ])
  const command = `${process.execPath} ${MAIN} recordings play ${ANA} --directory ${slow}`
  const inside = `stty rows 20 cols 70; ${command} --from 0s; echo code $?; stty -a | grep -o -e '-\\?icanon'`
  await using program = new RunningProgram('script', ['-qec', inside, '/dev/null'], { SHELL: '/bin/sh', TERM: 'xterm' })
  await program.says(/Recorded on 80x24; this terminal has 70x20\./)
  await program.says(/first/)
  expect(program.stdout).not.toContain('second')
  for (let step = 0; step < 40; step += 1) program.write('\x1b[C')
  await program.says(/second/)
  program.write('q')
  await program.says(/Stopped at 3m\d*s?; --from goes on there\./)
  await program.says(/code 0\r\nicanon/)
  expect(program.stdout).not.toMatch(/never|owned/)
  expect(program.stdout).toContain('\x1b[?1049l\x1b7\x1b[r\x1b8\x1b[?25h\x1b[m')
  expect(program.stdout).toContain('8 characters of control strings were left out')
})
