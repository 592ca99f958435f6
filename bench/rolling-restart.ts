/**
 * What do people notice while two connectors are replaced by two new ones, as a Deployment does it: a new one is started,
 * and once it is ready an old one is told to stop? 100 requests a second, 50 watches and 10 sessions, half over HTTP/2 and one
 * request in ten on a connection of its own, through a balancer of TCP connections that asks `/readyz` ten times a second;
 * connectors that were built, with `shutdownDelay: 5s`, as the Helm chart has it, and the default `drainTimeout: 10s`. The
 * load, the connectors and the API server with the balancer are processes of their own. Latencies count from when a request
 * was due.
 *
 *     node bench/rolling-restart.ts [SECONDS]
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { answerLoad } from '../test/support/load-answers.ts'
import { summarize } from '../test/support/load-figures.ts'
import { startReplica } from '../test/support/staged-connector.ts'
import { stageSurroundings } from '../test/support/staged-gateway.ts'
import { startLoad } from '../test/support/steady-load.ts'
import { startTcpBalancer } from '../test/support/tcp-balancer.ts'
import { printCores, watchCores } from './load/processes.ts'
import { HEADINGS, cellsOf, printTable, printWhole } from './load/report.ts'

const ASKED = { requestsPerSecond: 100, watches: 50, sessions: 10 }
const MAX_UNDER_WAY = 500
const BEFORE_MS = 10_000
const LOOK_EVERY_MS = 10
const REPLICAS = 2

const seconds = Number(process.argv[2] ?? 60)
const build = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(1)

const surroundings = await stageSurroundings({ limits: { shutdownDelay: '5s' } })
const { apiServer, token, certificateAuthority } = surroundings
const answers = answerLoad(apiServer)
const balancer = await startTcpBalancer()

async function start(name: string) {
  const before = balancer.ready
  const replica = await startReplica(surroundings, name, { built: true })
  balancer.add(replica)
  while (balancer.ready <= before) await wait(LOOK_EVERY_MS)
  return replica
}

const running = [await start('old-0'), await start('old-1')]
const load = startLoad({
  ...ASKED,
  ...{ port: balancer.port, token, certificateAuthority, sockets: ['production'], maxUnderWay: MAX_UNDER_WAY },
})
await load.steady
const { startedAtMs } = await load.figures()
const cores = watchCores({ load: load.pid, 'API server and balancer': process.pid })
await wait(BEFORE_MS)

const steps: { name: string; atMs: number }[] = [{ name: 'two connectors', atMs: startedAtMs }]
const begin = (name: string): void => {
  steps.push({ name, atMs: Date.now() })
}
const ends: Promise<string>[] = []
for (let index = 0; index < REPLICAS; index += 1) {
  begin(`the ${index === 0 ? 'first' : 'second'} new one starts`)
  const next = await start(`new-${index}`)
  begin(`the ${index === 0 ? 'first' : 'second'} old one ends`)
  const toldAtMs = performance.now()
  const old = running.shift()
  running.push(next)
  const code = old?.end('SIGTERM') ?? Promise.resolve(null)
  ends.push(
    code.then((value) => `with ${String(value)} after ${((performance.now() - toldAtMs) / 1_000).toFixed(1)} s`),
  )
  // The next one is not started while this one still counts as ready.
  while (balancer.ready > REPLICAS) await wait(LOOK_EVERY_MS)
}
const ended = await Promise.all(ends)
begin('two new connectors')
await wait(Math.max(0, startedAtMs + seconds * 1_000 - Date.now()))
const endedAtMs = Date.now()
const used = cores.look()
const figures = await load.stop()
answers.stop()
await Promise.all(running.map((replica) => replica.end('SIGTERM')))
balancer.stop()
await surroundings.stop()

printTable(
  ['meanwhile', 'seconds', ...HEADINGS],
  [...steps, { name: 'whole', atMs: startedAtMs }].map(({ name, atMs }, index) => {
    const toMs = steps[index + 1]?.atMs ?? endedAtMs
    return [name, ((toMs - atMs) / 1_000).toFixed(1), ...cellsOf(summarize(figures, atMs, toMs))]
  }),
)
printWhole(figures, answers.created, ASKED)
console.log(
  `connectors      the old ones ended ${ended.join(' and ')}; the balancer met ${balancer.refused} closed ports`,
)
printCores(used)
