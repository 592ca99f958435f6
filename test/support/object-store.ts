import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { withBuildLock } from '../../sandbox/build-lock.ts'
import { freePorts } from '../../sandbox/free-ports.ts'

const module = fileURLToPath(new URL('./object-store', import.meta.url))
const server = 'github.com/versity/versitygw/cmd/versitygw'
const startWithinMs = 20_000

/** An S3 server of 127.0.0.1, which keeps objects as files, and can be away for a while. */
export interface ObjectStore {
  readonly endpoint: string
  readonly bucket: string
  /** What the AWS SDK takes its credentials from. */
  readonly environment: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY' | 'AWS_REGION', string>>
  /** Where the object of a key lies as a file. */
  file(key: string): string
  start(): Promise<void>
  stop(): Promise<void>
  /** Stops it and deletes what it keeps. */
  close(): Promise<void>
}

/** Starts a server, which is built first when the cache does not hold it: about a minute on two cores. Needs Go. */
export async function startObjectStore(): Promise<ObjectStore> {
  const binary = await objectStoreBinary()
  const [port = 0] = await freePorts(1)
  const directory = await mkdtemp(join(tmpdir(), 'postern-objects-'))
  const [data, metadata] = [join(directory, 'data'), join(directory, 'metadata')]
  const bucket = 'recordings'
  await mkdir(join(data, bucket), { recursive: true })
  await mkdir(metadata)
  const credentials = { access: 'postern', secret: 'postern-secret' }
  let child: ChildProcess | null = null
  const store: ObjectStore = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    environment: {
      AWS_ACCESS_KEY_ID: credentials.access,
      AWS_SECRET_ACCESS_KEY: credentials.secret,
      AWS_REGION: 'us-east-1',
    },
    file: (key) => join(data, bucket, key),
    start: async () => {
      const argv = ['--access', credentials.access, '--secret', credentials.secret, '--port', `127.0.0.1:${port}`]
      const started = spawn(binary, [...argv, '--quiet', 'posix', '--sidecar', metadata, data], { stdio: 'ignore' })
      child = started
      const giveUpAt = performance.now() + startWithinMs
      while (!(await answers(port))) {
        if (started.exitCode !== null || performance.now() > giveUpAt)
          throw new Error('the object store does not start')
        await sleep(20)
      }
    },
    stop: async () => {
      if (child === null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      child = null
    },
    close: async () => {
      await store.stop()
      await rm(directory, { recursive: true })
    },
  }
  await store.start()
  return store
}

async function objectStoreBinary(): Promise<string> {
  const run = promisify(execFile)
  const environment = { ...process.env, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0' }
  const version = await run('go', ['version']).catch((cause: unknown) => {
    throw new Error('the object store of these tests is built with Go 1.26 or newer: install it from go.dev/dl', {
      cause,
    })
  })
  const hash = createHash('sha256').update(version.stdout)
  for (const name of ['go.mod', 'go.sum']) hash.update(await readFile(join(module, name)))
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'postern', 'object-store')
  const directory = join(cache, hash.digest('hex').slice(0, 32))
  const binary = join(directory, 'versitygw')
  if (await exists(binary)) return binary
  await mkdir(directory, { recursive: true })
  await withBuildLock(
    join(directory, 'lock'),
    async () => {
      if (await exists(binary)) return
      const temporary = `${binary}.${process.pid}`
      const flags = ['-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', temporary]
      await run('go', ['build', ...flags, server], { cwd: module, env: environment })
      await rename(temporary, binary)
    },
    () => undefined,
  )
  return binary
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
