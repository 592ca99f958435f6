/**
 * What a session costs the process that relays it: CPU seconds a GB and MB/s of a terminal's output (coloured text, all
 * of which is recorded) and of input that is piped in (all of which is hashed), over SPDY and WebSocket, in frames of
 * 32 KiB and 512 B; through a connector that records nothing, one that must record, and one that encrypts as well.
 * Beside them the floor, a Node that ends TLS on both sides and pipes; and no relay at all.
 *
 * The ways take turns, one session each, in random order; client, relay and API server are processes of their own.
 * What counts is CPU time a GB, as a ratio to the floor in the same cycle: from the session's first byte until its
 * recording is finished on disk. MB/s depend on what else the machine does.
 *
 * Then what a session holds in memory: one whose client reads nothing of 1 GiB, and a hundred that say nothing.
 *
 *     node bench/exec.ts [CYCLES]
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificateAuthority } from '../sandbox/certificates.ts'
import { type Endpoint, openExec } from './exec/client.ts'
import { type Connector, type Recording, type Upstream, startConnector } from './exec/connector.ts'
import { type MeasuredProcess, startMeasured } from './exec/measured-process.ts'
import { type Direction, type Exec, type Protocol, framesOf } from './exec/wire.ts'

const WARM_UP_CYCLES = 1
const FLOOR = 'raw relay'
const GB = 1e9
const MIB = 1024 * 1024

/** Payload of one session, in MiB, by the bytes in a frame. */
const SESSION_MIB = new Map([
  [32 * 1024, 32],
  [512, 16],
])
const STALLED_MIB = 1024
const STALL_MS = 3_000
const IDLE_SESSIONS = 100

/** One way from the client to the API server. */
interface Way {
  readonly name: string
  readonly endpoint: Endpoint
  /** Null without a relay. */
  readonly relay: MeasuredProcess | null
  readonly connector: Connector | null
}

interface Sample {
  readonly cpuSecondsPerGB: number
  readonly megabytesPerSecond: number
}

async function carry({ name, endpoint, relay, connector }: Way, exec: Exec): Promise<Sample> {
  const bytes = exec.frames * exec.frameBytes
  const session = await openExec(endpoint, exec)
  const before = await relay?.usage()
  const seconds = await session.run()
  const recording = await connector?.takeRecording()
  const after = await relay?.usage()
  if (recording !== undefined && recording !== null) {
    const seen = recording.streams[exec.direction === 'stdin' ? 'stdin' : 'stdout']
    const isWhole = recording.state === 'complete' && recording.incomplete === '' && recording.outcome?.exitCode === 0
    const stored = recording.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
    const isKept =
      exec.direction === 'stdin'
        ? recording.elided[0]?.byteLength === bytes || recording.sealed !== undefined
        : stored > bytes
    if (seen !== bytes || !isWhole || !isKept)
      throw new Error(`${name} did not record all: ${JSON.stringify(recording)}`)
  }
  const cpuSeconds = (after?.cpuSeconds ?? NaN) - (before?.cpuSeconds ?? NaN)
  return { cpuSecondsPerGB: (cpuSeconds * GB) / bytes, megabytesPerSecond: bytes / 1e6 / seconds }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))] ?? NaN
}

function execsOf(): readonly Exec[] {
  return (['stdout', 'stdin'] satisfies Direction[]).flatMap((direction) =>
    [...SESSION_MIB].flatMap(([frameBytes, mebibytes]) =>
      (['SPDY', 'WebSocket'] satisfies Protocol[]).map((protocol) => {
        return { protocol, direction, frameBytes, frames: framesOf(mebibytes, frameBytes) }
      }),
    ),
  )
}

async function compare(ways: readonly Way[], cycles: number): Promise<void> {
  const tables = execsOf().map((exec) => ({ exec, cycles: [] as Map<string, Sample>[] }))
  for (let cycle = -WARM_UP_CYCLES; cycle < cycles; cycle += 1) {
    for (const table of tables.toSorted(() => Math.random() - 0.5)) {
      const round = new Map<string, Sample>()
      for (const way of ways.toSorted(() => Math.random() - 0.5)) round.set(way.name, await carry(way, table.exec))
      if (cycle >= 0) table.cycles.push(round)
    }
  }
  console.log(`${cycles} cycles; CPU a GB and its ratios hold on a busy machine, MB/s do not`)
  for (const { exec, cycles: rounds } of tables) {
    const { protocol, direction, frameBytes } = exec
    console.log(`\n${direction}, ${protocol}, frames of ${frameBytes} B`)
    console.log('                         CPU s/GB   x raw relay (quartiles)    MB/s')
    for (const { name } of ways) show(name, rounds)
  }
}

function show(name: string, rounds: readonly Map<string, Sample>[]): void {
  const costs = rounds.map((round) => round.get(name)?.cpuSecondsPerGB ?? NaN)
  const ratios = rounds.map((round, i) => (costs[i] ?? NaN) / (round.get(FLOOR)?.cpuSecondsPerGB ?? NaN))
  const rates = rounds.map((round) => round.get(name)?.megabytesPerSecond ?? NaN)
  const [low = '', middle = '', high = ''] = [0.25, 0.5, 0.75].map((q) => quantile(ratios, q).toFixed(2))
  const cost = Number.isNaN(costs[0]) ? '' : quantile(costs, 0.5).toFixed(2)
  const ratio = cost === '' ? '' : `${middle} (${low}-${high})`
  console.log(
    `  ${name.padEnd(22)} ${cost.padStart(8)}   ${ratio.padEnd(24)} ${quantile(rates, 0.5).toFixed(0).padStart(6)}`,
  )
}

/** A client that stops reading holds the API server back, and not the connector's memory full. */
async function stall({ endpoint, process }: Connector, protocol: Protocol): Promise<void> {
  const exec: Exec = { protocol, direction: 'stdout', frameBytes: 32 * 1024, frames: framesOf(STALLED_MIB, 32 * 1024) }
  const session = await openExec(endpoint, exec)
  const { rss: before } = await process.settledUsage()
  const run = session.run()
  session.socket.pause()
  let stalled = 0
  const stallEnd = performance.now() + STALL_MS
  while (performance.now() < stallEnd) {
    await wait(100)
    stalled = Math.max(stalled, (await process.usage()).rss)
  }
  session.socket.resume()
  let flowing = 0
  const over = new AbortController()
  const finished = run.finally(() => {
    over.abort()
  })
  while (!over.signal.aborted) {
    flowing = Math.max(flowing, (await process.usage()).rss)
    await wait(50)
  }
  await finished
  const [held, most] = [stalled, flowing].map((rss) => ((rss - before) / MIB).toFixed(1))
  console.log(
    `  ${protocol.padEnd(10)} ${held ?? ''} MiB more while it stalls, at most ${most ?? ''} MiB more while it then reads`,
  )
}

async function holdIdle(recording: Recording, upstream: Upstream): Promise<void> {
  const connector = await startConnector(recording, upstream, ['--expose-gc'])
  const exec: Exec = { protocol: 'WebSocket', direction: 'idle', frameBytes: 512, frames: 0 }
  const open = async () => {
    const session = await openExec(connector.endpoint, exec)
    session.begin()
    return session.socket
  }
  const sockets = await Promise.all(Array.from({ length: 20 }, open))
  await wait(1_000)
  const before = await connector.process.settledUsage()
  while (sockets.length < 20 + IDLE_SESSIONS) sockets.push(await open())
  await wait(1_000)
  const after = await connector.process.settledUsage()
  console.log(
    `  recording ${recording.padEnd(10)} ${((after.rss - before.rss) / IDLE_SESSIONS / 1024).toFixed(0)} KiB each`,
  )
  for (const socket of sockets) socket.destroy()
  await connector.stop()
}

async function main(cycles: number): Promise<void> {
  const authority = createCertificateAuthority()
  const keys = authority.issueServer()
  const certificateAuthority = authority.certificate
  const apiServer = startMeasured(new URL('exec/api-server.ts', import.meta.url).href, [JSON.stringify(keys)])
  const [{ port }] = (await once(apiServer.child, 'message')) as [AddressInfo]
  const upstream = { port, certificateAuthority }

  const between = JSON.stringify({ ...keys, port, ca: certificateAuthority })
  const relay = startMeasured(new URL('exec/raw-relay.ts', import.meta.url).href, [between])
  const [relayAddress] = (await once(relay.child, 'message')) as [AddressInfo]

  const off = await startConnector('off', upstream)
  const on = await startConnector('on', upstream)
  const encrypted = await startConnector('encrypted', upstream)
  const plain = { certificateAuthority, prefix: '', token: 'none' }
  await compare(
    [
      { name: 'direct', endpoint: { ...plain, port }, relay: null, connector: null },
      { name: FLOOR, endpoint: { ...plain, port: relayAddress.port }, relay, connector: null },
      { name: 'recording off', endpoint: off.endpoint, relay: off.process, connector: off },
      { name: 'recording on', endpoint: on.endpoint, relay: on.process, connector: on },
      { name: 'recording encrypted', endpoint: encrypted.endpoint, relay: encrypted.process, connector: encrypted },
    ],
    cycles,
  )

  console.log(`\n${STALLED_MIB} MiB of stdout towards a client that stops reading, recording on`)
  for (const protocol of ['SPDY', 'WebSocket'] satisfies Protocol[]) await stall(on, protocol)

  console.log(`\n${IDLE_SESSIONS} sessions that say nothing`)
  for (const recording of ['off', 'on', 'encrypted'] satisfies Recording[]) await holdIdle(recording, upstream)
  await Promise.all([off, on, encrypted].map((connector) => connector.stop()))
  await Promise.all([relay.stop(), apiServer.stop()])
}

await main(Number(process.argv[2] ?? 5))
