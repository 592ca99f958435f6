import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ownCluster, sandboxCluster } from './cluster.ts'
import { setStage } from './stage.ts'
import { play } from './story.ts'
import { heading, line, failure } from './terminal.ts'

const USAGE = `Plays Postern on this machine: a Kubernetes control plane, an identity provider, a connector, and people who use them.

Usage: npm run demo -- [FLAGS]

  --directory DIR     where kubeconfig, policies and the connector document are written (default: a temporary directory)
  --once              end after the story; the exit code is 0 only if every step held
  --kubeconfig FILE   stand in front of your own cluster instead; nothing in it is changed
  --context CONTEXT   which context of that file (default: its current one)
  --help

Examples:
  npm run demo
  npm run demo -- --once
  npm run demo -- --kubeconfig ~/.kube/config --context kind-kind
`

process.exitCode = await main()

async function main(): Promise<number> {
  let flags
  try {
    flags = parseFlags()
  } catch (error) {
    failure(error instanceof Error ? error.message : String(error))
    return 64
  }
  if (flags.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const interrupted = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, done)
  })
  const directory =
    flags.directory === undefined ? await mkdtemp(join(tmpdir(), 'postern-demo-')) : resolve(flags.directory)
  await mkdir(directory, { recursive: true })
  try {
    await using cluster =
      flags.kubeconfig === undefined
        ? await sandboxCluster(directory)
        : await ownCluster(directory, resolve(flags.kubeconfig), flags.context)
    await using stage = await setStage(directory, cluster)
    const held = await play(stage, cluster)
    if (flags.once) return held ? 0 : 1
    heading('It stays up. Try, in another terminal:')
    for (const hint of stage.hints) line(`  ${hint}`)
    line('Ctrl-C ends it.')
    await interrupted
    return 0
  } catch (error) {
    failure(error instanceof Error ? error.message : String(error))
    return 1
  } finally {
    if (flags.directory === undefined) await rm(directory, { recursive: true, force: true })
  }
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      directory: { type: 'string' },
      once: { type: 'boolean', default: false },
      kubeconfig: { type: 'string' },
      context: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.context !== undefined && values.kubeconfig === undefined)
    throw new Error('--context goes with --kubeconfig')
  return values
}
