import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import { runPostern } from '../../sandbox/postern.ts'
import { Kubectl } from './kubectl.ts'
import type { KubectlVersion } from './kubectl-versions.ts'
import { createNamespaces } from './namespaces.ts'
import { Terminal } from './terminal.ts'
import { type Transport, asking, execTransport } from './transports.ts'

/*
 * What a session leaves behind, and how it ends, over each transport with the kubectl that speaks it by itself: SPDY with
 * the oldest, WebSocket with the newest.
 */

const surroundings = inject('surroundings')
const oldest = surroundings.kubectls[0]
const newest = surroundings.kubectls.at(-1)
if (oldest === undefined || newest === undefined) throw new Error('there is no kubectl')

const carriers: readonly { readonly transport: Transport; readonly version: KubectlVersion }[] = [
  { transport: 'SPDY', version: oldest },
  { transport: 'WebSocket', version: newest },
]

const purposes = ['told', 'idle', 'brief', 'alone', 'ended', 'withdrawn'] as const
const namespaceOf = (transport: Transport, purpose: (typeof purposes)[number]): string =>
  `${purpose === 'told' ? 'kubectl-' : ''}rec-${transport.toLowerCase()}-${purpose}`

beforeAll(async () => {
  const namespaces = carriers.flatMap(({ transport }) => purposes.map((purpose) => namespaceOf(transport, purpose)))
  await createNamespaces(surroundings, namespaces)
  const spec = { terminationGracePeriodSeconds: 1, containers: [{ name: 'shell', image: 'busybox' }] }
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'tools' }, spec })
  await Promise.all(
    namespaces.map(async (namespace) => {
      const admin = new Kubectl(surroundings, newest, 'direct', namespace)
      expect(await admin.run(['create', '--filename=-'], { input })).toMatchObject({ code: 0 })
      expect(await admin.run(['wait', '--for=condition=Ready', 'pod/tools', '--timeout=60s'])).toMatchObject({
        code: 0,
      })
    }),
  )
})

/** A recording, as its files hold it. */
interface Kept {
  readonly manifest: RecordingManifest
  /** What each stream showed, chunks joined: how many there are is the network's business. */
  readonly streams: Readonly<Record<string, string>>
  readonly sizes: readonly string[]
}

/** The finished recordings of a namespace, in the order of their beginning. */
async function recordingsOf(namespace: string): Promise<Kept[]> {
  const directory = surroundings.connector.recordings
  const ids = (await readdir(directory)).filter((name) => /^[0-9a-f-]{36}$/.test(name))
  const read = (id: string, file: string) => readFile(join(directory, id, file), 'utf8').catch(() => '')
  const kept: Kept[] = []
  for (const id of ids) {
    const text = await read(id, 'manifest.json')
    if (text === '') continue
    const manifest = JSON.parse(text) as RecordingManifest
    if (manifest.session.namespace !== namespace || manifest.state !== 'complete') continue
    kept.push({ manifest, ...playedBack(await read(id, 'recording.cast')) })
  }
  return kept.sort((a, b) => a.manifest.session.startedAtMs - b.manifest.session.startedAtMs)
}

function playedBack(cast: string): Pick<Kept, 'streams' | 'sizes'> {
  const streams: Record<string, string> = {}
  const sizes: string[] = []
  let stream = 'stdout'
  for (const line of cast.trimEnd().split('\n').slice(1)) {
    const [, code, data] = JSON.parse(line) as [number, string, string]
    if (code === 'e') stream = data
    else if (code === 'r') sizes.push(data)
    else {
      const name = code === 'o' ? stream : code
      streams[name] = (streams[name] ?? '') + data
      stream = 'stdout'
    }
  }
  return { streams, sizes }
}

/** What two recordings of the same session over different transports have to agree in. */
function account({ manifest, streams, sizes }: Kept) {
  const { session, outcome, files, elided } = manifest
  const { kind, pod, command, tty, stdin, username, rule, record } = session
  const told = {
    outcome: { exitCode: outcome?.exitCode, message: outcome?.message, endedBy: outcome?.endedBy },
    bytes: manifest.streams,
    elided,
    streams,
  }
  return {
    session: { kind, pod, command, tty, stdin, username, rule, record },
    ...(files.some(({ direction }) => direction === 'download') ? upToEndOfArchive(told) : told),
    files,
    lastSize: sizes.at(-1),
    input: manifest.input,
    incomplete: manifest.incomplete,
  }
}

type Told = Pick<Kept, 'streams'> &
  Pick<Kept['manifest'], 'elided'> & { outcome: { exitCode: number | null | undefined } }

/**
 * What every kubectl that downloads sees: each ends with the end of the archive, and so perhaps before its padding, and
 * before it is told the outcome (k8s.io/kubectl pkg/cmd/cp/cp.go, initReadFrom).
 */
function upToEndOfArchive({ outcome, elided, streams }: Told) {
  return {
    outcome: { ...outcome, exitCode: outcome.exitCode ?? 0 },
    elided: elided.map((bytes) => ({ ...bytes, byteLength: 'with or without padding' })),
    streams: { ...streams, m: streams['m']?.replace(/\d+(?= bytes of a tar archive)/, 'some') },
  }
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

describe('the same sessions over SPDY and WebSocket', () => {
  const bytes = randomBytes(300_000)
  /** Those below; an upload begins with one that asks whether the target is a directory. */
  const sessions = 7
  const until = (size: string) => `until [ "$(stty size)" = "${size}" ]; do sleep 0.1; done`
  const wide = 'żółw 漢字 👩‍💻 é\n'

  beforeAll(async () => {
    await Promise.all(
      carriers.map(async ({ transport, version }) => {
        const kubectl = new Kubectl(surroundings, version, 'ana', namespaceOf(transport, 'told'))
        const env = asking(transport)
        const exec = (flags: readonly string[], ...command: string[]) => ['exec', ...flags, 'tools', '--', ...command]
        await kubectl.run(exec([], 'sh', '-c', `printf '${wide}'; echo bad >&2; exit 7`), { env })
        await kubectl.run(exec(['-i'], 'cat'), { env, input: `typed ${wide}` })
        await kubectl.run(exec(['-i'], 'sh', '-c', 'cat'), { env, input: bytes })
        await using terminal = await Terminal.open(
          kubectl,
          exec(['-it'], 'sh', '-c', `${until('31 101')}; stty size; ${until('47 143')}; stty size; exit 3`),
          { rows: 31, columns: 101, env },
        )
        await terminal.program.says(/^31 101\r$/m)
        await terminal.resize({ rows: 47, columns: 143 })
        await terminal.program.says(/^47 143\r$/m)
        await terminal.program.exitCode
        const directory = await mkdtemp(join(surroundings.directory, 'cp-'))
        await writeFile(join(directory, 'there'), bytes)
        await kubectl.run(['cp', join(directory, 'there'), 'tools:copied'], { env })
        await kubectl.run(['cp', 'tools:copied', join(directory, 'back')], { env })
      }),
    )
  })

  test('leave the same accounts', async () => {
    const [spdy, websocket] = await Promise.all(
      carriers.map(async ({ transport }) => {
        const namespace = namespaceOf(transport, 'told')
        await expect.poll(async () => (await recordingsOf(namespace)).length).toBe(sessions)
        return recordingsOf(namespace)
      }),
    )
    expect(spdy?.map(({ manifest }) => manifest.session.protocol)).toEqual(Array(sessions).fill('SPDY/3.1'))
    expect(websocket?.map(({ manifest }) => manifest.session.protocol)).toEqual(Array(sessions).fill('websocket'))
    expect(websocket?.map(account)).toEqual(spdy?.map(account))
  })

  test.each(carriers)('are what the audit trail says was recorded, over $transport', async ({ transport }) => {
    const ids = (await recordingsOf(namespaceOf(transport, 'told'))).map(({ manifest }) => manifest.session.id)
    const { recordings, auditLog } = surroundings.connector
    const verify = (...args: string[]) =>
      runPostern(['recordings', 'verify', ...ids, '--directory', recordings, ...args, '-o', 'json'])
    await expect.poll(async () => (await verify('--audit-trail', auditLog)).exitCode).toBe(0)
    const emptyTrail = join(surroundings.directory, 'empty.jsonl')
    await writeFile(emptyTrail, '')
    const { exitCode, stdout } = await verify('--audit-trail', emptyTrail)
    expect(exitCode).toBe(65)
    expect(JSON.parse(stdout)).toEqual(
      ids.map((id) => ({ id, verdict: 'manifest-altered', reason: 'the audit trail does not tell of it' })),
    )
  })

  test.each(carriers)('hold what was seen and what was moved, over $transport', async ({ transport }) => {
    const [failed, piped, binary, interactive, , upload, download] = await recordingsOf(namespaceOf(transport, 'told'))
    expect(failed).toMatchObject({
      streams: { stdout: wide, stderr: 'bad\n' },
      manifest: { outcome: { exitCode: 7, endedBy: '' } },
    })
    expect(piped?.streams['stdout']).toBe(`typed ${wide}`)
    expect(binary?.manifest.streams).toMatchObject({ stdin: bytes.length, stdout: bytes.length })
    expect(interactive).toMatchObject({ manifest: { outcome: { exitCode: 3 }, session: { tty: true } } })
    expect(interactive?.sizes.at(-1)).toBe('143x47')
    expect(interactive?.streams['stdout']).toContain('31 101')
    for (const [direction, copy] of [
      ['upload', upload],
      ['download', download],
    ] as const) {
      expect(copy?.manifest.files).toContainEqual(
        expect.objectContaining({ direction, type: 'file', byteLength: bytes.length, hash: sha256(bytes) }),
      )
    }
  })
})

describe.each(carriers)('a person sees why a session ends, over $transport', ({ transport, version }) => {
  const env = asking(transport)
  const kubectlIn = (purpose: (typeof purposes)[number]) =>
    new Kubectl(surroundings, version, 'ana', namespaceOf(transport, purpose))
  const sleeping = ['exec', '-i', 'tools', '--', 'sh', '-c', 'echo ready; cat']

  test('that is idle', async () => {
    expect(execTransport(version, transport)).toBe(transport)
    await using running = kubectlIn('idle').start(sleeping, env)
    expect(await running.exitCode).toBe(1)
    expect(running.stderr).toMatch(
      /^error: the session was idle for 2s, as long as rule limited-shells#1 allows \(audit id/m,
    )
  })

  test('that lasts too long', async () => {
    await using running = kubectlIn('brief').start(sleeping, env)
    const typing = setInterval(() => {
      running.write('x\n')
    }, 200)
    expect(await running.exitCode).toBe(1)
    clearInterval(typing)
    expect(running.stderr).toMatch(/^error: the session lasted 2s, as long as rule limited-shells#2 allows \(audit id/m)
  })

  test('that lasts too long while it floods', async () => {
    const flood = ['exec', 'tools', '--', 'sh', '-c', 'yes a line that never ends']
    const { code, stderr } = await kubectlIn('brief').run(flood, { env })
    expect(stderr).toMatch(/^error: the session lasted 2s, as long as rule limited-shells#2 allows \(audit id/m)
    expect(code).toBe(1)
  })

  test('that is one too many', async () => {
    await using first = kubectlIn('alone').start(sleeping, env)
    await first.says(/^ready$/m)
    const second = await kubectlIn('alone').run(sleeping, { env })
    expect(second.code).not.toBe(0)
    expect(second.stderr).toContain('you have 1 session open, as many as rule limited-shells#3 allows; end one first')
  })

  test('that a new revision of the policy no longer allows', async () => {
    await using running = kubectlIn('withdrawn').start(sleeping, env)
    await running.says(/^ready$/m)
    const policies = join(surroundings.directory, 'policies.yaml')
    const before = await readFile(policies, 'utf8')
    const replacePolicies = async (text: string) => {
      await writeFile(`${policies}.new`, text)
      await rename(`${policies}.new`, policies)
    }
    try {
      await replacePolicies(before.replace("'*-ended', '*-withdrawn'] }", "'*-ended'] }"))
      expect(await running.exitCode).toBe(1)
    } finally {
      await replacePolicies(before)
    }
    expect(running.stderr).toMatch(
      /^error: the policy changed and no longer allows this: no rule allows it \(audit id/m,
    )
  })

  test('that an operator ends', async () => {
    await using running = kubectlIn('ended').start(sleeping, env)
    await running.says(/^ready$/m)
    const operator = [
      '--portal',
      surroundings.connector.portalURL,
      '--cache-directory',
      join(surroundings.directory, 'people', 'admin'),
    ]
    const listed = await runPostern(['sessions', 'list', '-o', 'json', ...operator])
    expect(listed.stderr).toBe('')
    const { items } = JSON.parse(listed.stdout) as {
      items: { metadata: { name: string }; spec: { namespace: string } }[]
    }
    const id = items.find(({ spec }) => spec.namespace === namespaceOf(transport, 'ended'))?.metadata.name ?? ''
    const ended = await runPostern(['sessions', 'end', id, '--yes', '--reason', 'maintenance at noon', ...operator])
    expect(ended).toMatchObject({ exitCode: 0 })
    expect(await running.exitCode).toBe(1)
    expect(running.stderr).toMatch(
      /^error: this session was ended by admin@example\.com: maintenance at noon \(audit id/m,
    )
  })
})
