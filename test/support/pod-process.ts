import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * A container as a process of this machine: what its volumes hold is at the paths of its manifest, in a mount namespace of
 * its own, and all else of the root directory is read-only or not there.
 */

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const endsWithParent = new URL('../../sandbox/ends-with-parent.ts', import.meta.url).href

/** A directory of this machine at a path of the container. */
export interface Mount {
  readonly directory: string
  readonly mountPath: string
  readonly readOnly: boolean
}

/** A connector in surroundings like those of a pod. */
export interface PodProcess {
  /** What it logged so far. */
  log(): string
  /** Ends it as the kubelet does, and gives back its exit code. */
  stop(): Promise<number>
}

/** The root directory: this machine's but for /etc and /var, which have only what a container finds there, and the mounts. */
const SCRIPT = `set -eu
root=$1; mounts=$2; shift 2
mount -t tmpfs tmpfs "$root"
for entry in /*; do
  if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then
    mkdir "$root$entry"
    case $entry in /etc|/var) ;; *) mount --rbind "$entry" "$root$entry" ;; esac
  fi
done
cp /etc/hosts /etc/passwd "$root/etc/"
while read -r directory path mode; do
  mkdir -p "$root$path"
  mount --bind "$directory" "$root$path"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root$path"; fi
done < "$mounts"
mount -o remount,ro "$root"
exec chroot "$root" "$@"
`

/**
 * Starts `postern ARGS…` with the mounts, and returns when it listens. Needs Linux, and to be root or user namespaces.
 *
 * @throws Error with what it said when it ended before.
 */
export async function startPodProcess(
  directory: string,
  args: readonly string[],
  mounts: readonly Mount[],
  environment: Readonly<Record<string, string>>,
): Promise<PodProcess> {
  const own = await mkdtemp(join(directory, 'pod-'))
  const root = join(own, 'root')
  await mkdir(root)
  await writeFile(
    join(own, 'mounts'),
    mounts.map((mount) => `${mount.directory} ${mount.mountPath} ${mount.readOnly ? 'ro' : 'rw'}\n`).join(''),
  )
  const asRoot = process.getuid?.() === 0
  const namespaces = [...(asRoot ? [] : ['--user', '--map-root-user']), '--mount']
  const connector = [process.execPath, '--trace-warnings', '--import', endsWithParent, main, ...args]
  const child = spawn('unshare', [...namespaces, 'sh', '-c', SCRIPT, 'sh', root, join(own, 'mounts'), ...connector], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...environment },
  })
  let log = ''
  const closed = once(child, 'close').then(([code]) => (code as number | null) ?? -1)
  await new Promise<void>((resolve, reject) => {
    child.stdout.resume()
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('"connector.started"')) resolve()
    })
    void closed.then((code) => {
      reject(new Error(`the connector ended with ${code}: ${log}`))
    })
  })
  return { log: () => log, stop: () => stop(child, closed) }
}

async function stop(child: ChildProcess, closed: Promise<number>): Promise<number> {
  if (child.exitCode === null) child.kill('SIGTERM')
  return closed
}
