import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, lstat, mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * A container as a process of this machine. What its volumes hold is at the paths of its manifest, in a mount namespace of
 * its own; /etc, /var and /tmp have nothing else, and nothing can be written there. This project is at /postern, as in the
 * image. Started by root, the process has the manifest's user and groups, no capability, and cannot get one. Started by
 * anybody else it is root of a user namespace, which has no such users: then the modes of files keep nothing from it.
 *
 * Not in force in either case: the seccomp profile, the limits of resources, the network policy, and that there is nothing
 * but the image: other directories of this machine can be seen, and written to by those who may.
 */

const project = fileURLToPath(new URL('../..', import.meta.url))
const dockerfile = new URL('../../deploy/Dockerfile', import.meta.url)

/** Whether the process gets the manifest's user. */
export const hasUsers = process.getuid?.() === 0

/** A directory of this machine at a path of the container. */
export interface Mount {
  readonly directory: string
  readonly mountPath: string
  readonly readOnly: boolean
}

/** What the pod's security context says, of which all is put in force but the seccomp profile. */
export interface SecurityContext {
  readonly runAsUser: number
  readonly runAsGroup: number
  readonly fsGroup: number
}

/** What the manifest says of a pod's one container. */
export interface Container {
  readonly args: readonly string[]
  readonly mounts: readonly Mount[]
  /** Variables beside those of the image. */
  readonly environment: Readonly<Record<string, string>>
  readonly securityContext: SecurityContext
}

/** A connector in surroundings like those of a pod. */
export interface PodProcess {
  readonly pid: number
  /** What it logged so far. */
  log(): string
  /** Ends it as the kubelet does, and gives back its exit code. */
  stop(): Promise<number>
}

/** Arguments: the new root directory, the list of mounts, this project, Node.js; then the command. */
const SCRIPT = `set -eu
root=$1; mounts=$2; project=$3; node=$4; shift 4
mount -t tmpfs tmpfs "$root"
for entry in /*; do
  if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then
    mkdir "$root$entry"
    case $entry in /etc|/var|/tmp) ;; *) mount --rbind "$entry" "$root$entry" ;; esac
  fi
done
cp /etc/hosts "$root/etc/"
mkdir "$root/postern"
mount --bind "$project" "$root/postern"
: > "$root/node"
mount --bind "$node" "$root/node"
while read -r directory path mode; do
  mkdir -p "$root$path"
  mount --bind "$directory" "$root$path"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root$path"; fi
done < "$mounts"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
`

/**
 * Starts `postern ARGS…` as that container, and returns when it listens. Needs Linux, and to be root or user namespaces.
 *
 * @throws Error with what it said when it ended before.
 */
export async function startPodProcess(directory: string, container: Container): Promise<PodProcess> {
  const own = await mkdtemp(join(directory, 'pod-'))
  const root = join(own, 'root')
  const mounts = join(own, 'mounts')
  await mkdir(root)
  await writeFile(
    mounts,
    container.mounts.map((mount) => `${mount.directory} ${mount.mountPath} ${mount.readOnly ? 'ro' : 'rw'}\n`).join(''),
  )
  const endsWithParent = ['--import', '/postern/sandbox/ends-with-parent.ts']
  const connector = ['/node', '--trace-warnings', ...endsWithParent, '/postern/src/cli/main.ts', ...container.args]
  const child = spawn(
    'unshare',
    [
      ...(hasUsers ? [] : ['--user', '--map-root-user']),
      ...['--mount', 'sh', '-c', SCRIPT, 'sh', root, mounts, project, process.execPath],
      ...(hasUsers ? asUser(container.securityContext) : []),
      ...connector,
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...(await imageEnvironment()), ...container.environment },
    },
  )
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
  return { pid: child.pid ?? -1, log: () => log, stop: () => stop(child, closed) }
}

function asUser({ runAsUser, runAsGroup, fsGroup }: SecurityContext): string[] {
  const identity = [`--reuid=${runAsUser}`, `--regid=${runAsGroup}`, `--groups=${fsGroup}`]
  return ['setpriv', ...identity, '--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all']
}

/** Variables that the image has, by its Dockerfile. */
async function imageEnvironment(): Promise<Record<string, string>> {
  const [, variables = ''] = /^ENV (.*)$/m.exec(await readFile(dockerfile, 'utf8')) ?? []
  return Object.fromEntries(variables.split(' ').map((variable) => variable.split('=', 2) as [string, string]))
}

/**
 * Gives a volume to `fsGroup`, as the kubelet does before a pod starts.
 *
 * @see k8s.io/kubernetes pkg/volume/volume_linux.go
 */
export async function giveToGroup(directory: string, fsGroup: number, readOnly: boolean): Promise<void> {
  if (!hasUsers) return
  const within = await readdir(directory, { recursive: true })
  for (const path of [directory, ...within.map((name) => join(directory, name))]) {
    const info = await lstat(path)
    if (info.isSymbolicLink()) continue
    await chown(path, info.uid, fsGroup)
    await chmod(path, info.mode | (readOnly ? 0o440 : 0o660) | (info.isDirectory() ? 0o2110 : 0))
  }
}

async function stop(child: ChildProcess, closed: Promise<number>): Promise<number> {
  if (child.exitCode === null) child.kill('SIGTERM')
  return closed
}
