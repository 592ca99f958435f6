import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { stageSurroundings } from '../test/support/staged-gateway.ts'

/*
 * How soon does a connector that was built listen, and how much memory does it hold when nobody uses it?
 * Beside it, as the floor: a Node that does nothing.
 */

const RUNS = 7
const IDLE_MS = 2_000

const build = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
if (build.status !== 0) process.exit(1)
const surroundings = await stageSurroundings()
const rows: { readonly startMs: number; readonly connectorKiB: number; readonly nodeKiB: number }[] = []
for (let run = 0; run < RUNS; run += 1) {
  const startedAt = performance.now()
  const connector = spawn(process.execPath, [
    'dist/cli/main.js',
    'connector',
    'start',
    '--config',
    surroundings.document,
  ])
  let said = ''
  connector.stderr.setEncoding('utf8')
  while (!said.includes('connector.started')) said += String((await once(connector.stderr, 'data'))[0])
  const startMs = performance.now() - startedAt
  const node = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  rows.push({ startMs, connectorKiB: residentKiB(connector.pid), nodeKiB: residentKiB(node.pid) })
  const ended = Promise.all([once(connector, 'close'), once(node, 'close')])
  connector.kill()
  node.kill()
  await ended
}
await surroundings.stop()
show(
  'listens after, ms',
  rows.map(({ startMs }) => startMs),
)
show(
  'idle, MiB resident',
  rows.map(({ connectorKiB }) => connectorKiB / 1024),
)
show(
  'idle, x an idle Node',
  rows.map(({ connectorKiB, nodeKiB }) => connectorKiB / nodeKiB),
)

function residentKiB(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))?.[1])
}

function show(what: string, values: readonly number[]): void {
  const sorted = values.toSorted((a, b) => a - b)
  const [lowest = NaN, median = NaN, highest = NaN] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map(
    (i) => sorted[i],
  )
  process.stdout.write(
    `${what.padEnd(24)} min ${lowest.toFixed(1)}  median ${median.toFixed(1)}  max ${highest.toFixed(1)}\n`,
  )
}
