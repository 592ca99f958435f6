import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createCertificateAuthority } from '../sandbox/certificates.ts'
import { freePorts } from '../sandbox/free-ports.ts'
import { startIdentityProvider, type IdentityProvider } from '../sandbox/identity-provider.ts'
import { signIn } from '../sandbox/identity-provider/browser.ts'
import { people } from '../sandbox/identity-provider/people.ts'
import { loginPath, saveLogin } from '../src/client/login-cache-writer.ts'
import { tokenTimes } from '../src/client/refresh.ts'

/*
 * What does kubectl wait for before each call? `postern client token` with a fresh token, as a whole process, beside a
 * Node that does nothing, and beside kubelogin where its binary is given: npm run bench -- token --kubelogin PATH.
 *
 * One of each in turn. Wall and CPU (user and system) are the shell's own account of the process.
 */

const WARM_UP = 5

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '60' }, kubelogin: { type: 'string' } } })
const rounds = Number(values.rounds)
const build = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(1)

const directory = mkdtempSync(join(tmpdir(), 'postern-bench-token-'))
const authority = createCertificateAuthority()
const provider = await startIdentityProvider({
  tls: { ...authority.issueServer(), ca: authority.certificate },
  idTokenSeconds: 3600,
})

interface Candidate {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly spent: { readonly wallMs: number; readonly cpuMs: number }[]
}

try {
  const candidates: Candidate[] = [
    { name: "node -e '0'", command: [process.execPath, '-e', '0'], spent: [] },
    { name: 'postern client token', command: keepPosternLogin(), spent: [] },
  ]
  if (values.kubelogin !== undefined)
    candidates.push({
      name: 'kubelogin get-token',
      command: await keepKubelogin(values.kubelogin, provider),
      spent: [],
    })
  for (let round = -WARM_UP; round < rounds; round += 1)
    for (const offset of candidates.keys()) {
      const candidate = candidates[(offset + Math.max(round, 0)) % candidates.length]
      const spent = candidate === undefined ? null : run(candidate.command)
      if (spent !== null && round >= 0) candidate?.spent.push(spent)
    }
  show(candidates)
} finally {
  await provider.stop()
  rmSync(directory, { recursive: true, force: true })
}

/** A login that is fresh, as `postern client login` leaves it. */
function keepPosternLogin(): [string, ...string[]] {
  const portal = 'https://postern.example.com'
  const nowSeconds = Math.floor(Date.now() / 1000)
  const claims = { iss: provider.issuer, sub: 'person-ana', iat: nowSeconds, exp: nowSeconds + 3600 }
  const idToken = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${'s'.repeat(342)}`
  const login = {
    version: 1,
    portal,
    portalCertificateAuthority: authority.certificate,
    issuer: provider.issuer,
    issuerCertificateAuthority: authority.certificate,
    clientID: provider.clientId,
    idToken,
    refreshToken: 'r'.repeat(43),
    signedInAtMs: Date.now(),
    ...tokenTimes(idToken, Date.now()),
    refreshFailedAtMs: 0,
    refreshFailure: '',
  } as const
  saveLogin({ path: loginPath(directory, login), login })
  const script = new URL('../dist/cli/main.js', import.meta.url).pathname
  return [process.execPath, script, 'client', 'token', '--portal', portal, '--cache-directory', directory]
}

/** Signs in with it once, so that its cache is warm. */
async function keepKubelogin(binary: string, { issuer, clientId }: IdentityProvider): Promise<[string, ...string[]]> {
  const ca = join(directory, 'ca.crt')
  const [port = 0] = await freePorts(1)
  writeFileSync(ca, authority.certificate)
  const args = [
    ...['get-token', '--oidc-issuer-url', issuer, '--oidc-client-id', clientId, '--certificate-authority', ca],
    ...['--oidc-extra-scope', 'email', '--token-cache-dir', join(directory, 'kubelogin'), '--skip-open-browser'],
    ...['--listen-address', `127.0.0.1:${port}`, '--oidc-redirect-url', `http://127.0.0.1:${port}/`],
  ]
  const login = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  login.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
    const [address] = /http:\/\/127\.0\.0\.1:\d+\S*/.exec(said) ?? []
    if (address === undefined) return
    said = ''
    void fetch(address, { redirect: 'manual' }).then((response) =>
      signIn(provider, people.ana, response.headers.get('location') ?? ''),
    )
  })
  const exitCode = await new Promise((resolve) => login.once('close', resolve))
  if (exitCode !== 0) throw new Error(`${binary} did not sign in: ${said}`)
  return [binary, ...args]
}

/** `times` of the shell cannot tell one child from the next, its `time` can. */
function run(command: readonly string[]): { readonly wallMs: number; readonly cpuMs: number } {
  const { status, stderr } = spawnSync(
    'bash',
    ['-c', 'TIMEFORMAT="%3R %3U %3S"; time "$@" >/dev/null', '-', ...command],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: directory, LC_ALL: 'C' },
    },
  )
  const [wall, user, system] = stderr.trim().split(/\s+/).map(Number)
  if (status !== 0 || wall === undefined || user === undefined || system === undefined)
    throw new Error(`${command.join(' ')} failed: ${stderr}`)
  return { wallMs: wall * 1000, cpuMs: (user + system) * 1000 }
}

function show(candidates: readonly Candidate[]): void {
  const [floor] = candidates
  if (floor === undefined) return
  const line = (...cells: string[]): void => {
    process.stdout.write(
      `${cells[0]?.padEnd(24) ?? ''}${cells
        .slice(1)
        .map((cell) => cell.padStart(18))
        .join('')}\n`,
    )
  }
  line('median of ' + String(rounds), 'wall, ms', 'CPU, ms', 'wall, x Node', 'CPU, x Node')
  for (const { name, spent } of candidates) {
    const of = (key: 'wallMs' | 'cpuMs'): number[] => spent.map((one) => one[key])
    // Of pairs from the same round, which met the same weather.
    const ratio = (key: 'wallMs' | 'cpuMs'): number =>
      median(spent.map((one, round) => one[key] / (floor.spent[round]?.[key] ?? NaN)))
    line(
      name,
      ...[of('wallMs'), of('cpuMs')].map(
        (times) => `${median(times).toFixed(1)} (min ${Math.min(...times).toFixed(1)})`,
      ),
      ...[ratio('wallMs'), ratio('cpuMs')].map((value) => value.toFixed(2)),
    )
  }
}

function median(times: readonly number[]): number {
  const sorted = times.toSorted((one, other) => one - other)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2
}
