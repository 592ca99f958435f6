/**
 * What do people notice while the files of a connector are replaced under it? 100 requests a second, 50 watches and 10
 * sessions, half over HTTP/2 and one request in ten on a connection of its own, through a connector that was built; for a
 * while nothing is replaced, then one kind of file after the other, every two seconds, as Kubernetes replaces those of a
 * volume. The load, the connector and the API server are processes of their own. Latencies count from when a request was due.
 *
 *     node bench/rotation.ts [SECONDS]
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificateAuthority } from '../sandbox/certificates.ts'
import { answerLoad } from '../test/support/load-answers.ts'
import { quantile, summarize } from '../test/support/load-figures.ts'
import {
  ROTATED_SOCKETS,
  credentialsSeen,
  listenerFiles,
  renderKubeconfig,
  startRotatedConnector,
} from '../test/support/rotated-connector.ts'
import { STAGED_POLICY } from '../test/support/staged-gateway.ts'
import { startLoad } from '../test/support/steady-load.ts'
import { printCores, watchCores } from './load/processes.ts'
import { HEADINGS, cellsOf, printTable, printWhole } from './load/report.ts'

const ASKED = { requestsPerSecond: 100, watches: 50, sessions: 10 }
const MAX_UNDER_WAY = 500
const ROTATED_EVERY_MS = 2_000
const WARM_UP_MS = 3_000
const LOOK_EVERY_MS = 10
const LOOKED_EVERY_MS = 500
const PHASES = 6
const IN_FORCE_TIMEOUT_MS = 20_000

const TIMES = Math.max(1, Math.round((Number(process.argv[2] ?? 60) * 1_000) / PHASES / ROTATED_EVERY_MS))
const build = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(1)

const { connector, listeners, ...volumes } = await startRotatedConnector({ built: true })
const { apiServer, port, token } = connector
const answers = answerLoad(apiServer)
const load = startLoad({
  ...ASKED,
  ...{ port, token, certificateAuthority: listeners.certificate, sockets: ROTATED_SOCKETS, maxUnderWay: MAX_UNDER_WAY },
})
let trusted = apiServer.certificateAuthority
let tokenInFile = apiServer.token

const told = (name: string): number => connector.log().split(`"msg":"${name}"`).length - 1

async function until(what: string, isInForce: () => boolean): Promise<void> {
  const end = performance.now() + IN_FORCE_TIMEOUT_MS
  while (!isInForce()) {
    if (performance.now() > end) throw new Error(`${what} is not in force after ${IN_FORCE_TIMEOUT_MS} ms`)
    await wait(LOOK_EVERY_MS)
  }
}

async function untilTold(name: string, times: number, act: () => Promise<void>): Promise<void> {
  const before = told(name)
  await act()
  await until(name, () => told(name) === before + times)
}

async function untilSeen(credential: string, act: () => Promise<void>): Promise<void> {
  apiServer.seen.length = 0
  await act()
  await until('the token', () => credentialsSeen(apiServer).has(`Bearer ${credential}`))
}

/** Made before anything is measured: this process is the API server, and waits for `openssl` meanwhile. */
const certificates = Array.from({ length: TIMES }, () => listenerFiles(listeners))
const authorities = Array.from({ length: TIMES }, (_, time) => {
  const authority = createCertificateAuthority(`authority ${time}`)
  return { certificate: authority.certificate, server: authority.issueServer() }
})

/** Each resolves when what was replaced is in force. */
const KINDS: Readonly<Record<string, (time: number) => Promise<void>>> = {
  'listener certificate': (time) =>
    untilTold('certificate.replaced', 2, () => volumes.listener.replace(certificates[time] ?? {})),
  'authority of the API server': async (time) => {
    const next = authorities[time]
    if (next === undefined) throw new Error('there are no more authorities')
    const trust = async (certificateAuthority: string): Promise<void> => {
      trusted = certificateAuthority
      await volumes.serviceAccount.replace({ 'ca.crt': trusted, token: tokenInFile })
      await volumes.kubeconfig.replace({ config: renderKubeconfig(apiServer.url, trusted, apiServer.token) })
    }
    await untilTold('upstream.reloaded', 2, () => trust(trusted + next.certificate))
    apiServer.server.setSecureContext(next.server)
    await untilTold('upstream.reloaded', 2, () => trust(next.certificate))
  },
  'token file': async (time) => {
    tokenInFile = `token-${time}`
    await untilSeen(tokenInFile, () => volumes.serviceAccount.replace({ 'ca.crt': trusted, token: tokenInFile }))
  },
  kubeconfig: async (time) => {
    const credential = `kubeconfig-${time}`
    const config = renderKubeconfig(apiServer.url, trusted, credential)
    await untilSeen(credential, () => volumes.kubeconfig.replace({ config }))
  },
  policies: (time) =>
    untilTold('policy.replaced', 1, () =>
      volumes.policies.replace({
        'developers.yaml': STAGED_POLICY,
        'more.yaml': STAGED_POLICY.replace('name: developers', `name: more-${time}`),
      }),
    ),
}

/** Replaces files again and again; resolves to how long each time took until they were in force, in milliseconds. */
async function rotate(replace: ((time: number) => Promise<void>) | null): Promise<number[]> {
  const beganAtMs = performance.now()
  const inForceAfterMs: number[] = []
  for (let time = 0; time < TIMES; time += 1) {
    // Not in step with the connector, which looks twice a second.
    await wait(Math.random() * LOOKED_EVERY_MS)
    const replacedAtMs = performance.now()
    await replace?.(time)
    if (replace !== null) inForceAfterMs.push(performance.now() - replacedAtMs)
    await wait(Math.max(0, beganAtMs + (time + 1) * ROTATED_EVERY_MS - performance.now()))
  }
  return inForceAfterMs.toSorted((a, b) => a - b)
}

await load.steady
await wait(WARM_UP_MS)
const phases: { name: string; fromMs: number; toMs: number; inForceAfterMs: number[] }[] = []
const cores = watchCores({ connector: connector.pid, load: load.pid, 'API server': process.pid })
for (const [name, replace] of [['nothing', null], ...Object.entries(KINDS)] as const) {
  const fromMs = Date.now()
  const inForceAfterMs = await rotate(replace)
  phases.push({ name, fromMs, toMs: Date.now(), inForceAfterMs })
}
const used = cores.look()
const figures = await load.stop()
answers.stop()
await connector.stop()

const whole = { name: 'whole', fromMs: phases[0]?.fromMs ?? 0, toMs: phases.at(-1)?.toMs ?? 0, inForceAfterMs: [] }
printTable(
  ['replaced', 'times', 'in force after ms', 'at the latest', ...HEADINGS],
  [...phases, whole].map(({ name, fromMs, toMs, inForceAfterMs }) => [
    name,
    String(inForceAfterMs.length),
    ...[0.5, 1].map((share) => (inForceAfterMs.length === 0 ? '' : quantile(inForceAfterMs, share).toFixed(0))),
    ...cellsOf(summarize(figures, fromMs, toMs)),
  ]),
)
printWhole(figures, answers.created, ASKED)
printCores(used)
