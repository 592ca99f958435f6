import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { homeDirectory } from '../document/home-directory.ts'
import { replaceFile } from './atomic-file.ts'
import { ClientError } from './client-error.ts'

/** kubectl holds its lock for as long as it writes a file. */
const LOCK_TIMEOUT_MS = 2_000
const LOCK_POLL_MS = 25

/**
 * The kubeconfig files that count, first wins: the one given, else those of $KUBECONFIG, else `~/.kube/config`.
 *
 * @see k8s.io/client-go `tools/clientcmd/config.go`, PathOptions
 */
export function kubeconfigPaths(given: string | undefined, env: NodeJS.ProcessEnv): readonly string[] {
  if (given !== undefined) return [given]
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '')
  return listed.length > 0 ? [...new Set(listed)] : [join(homeDirectory(), '.kube', 'config')]
}

/** Where new entries go: the first of the files that exists, else the last one. As {@link kubeconfigPaths}, never empty. */
export function defaultKubeconfigPath(paths: readonly string[]): string {
  const path = paths.find((candidate) => existsSync(candidate)) ?? paths.at(-1)
  if (path === undefined) throw new TypeError('there is no kubeconfig path')
  return path
}

/** The text of a file, empty when there is none. */
export function readKubeconfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('KubeconfigUnusable', `${path} cannot be read: ${why}`, { cause: error })
  }
}

/**
 * Changes a kubeconfig while kubectl keeps its hands off it, atomically. A file keeps its mode, a new one is 0600, and a
 * symbolic link stays one. Nothing is written when nothing changes.
 *
 * @throws ClientError `KubeconfigUnusable` when the file is locked or cannot be written; what `edit` throws.
 */
export async function rewriteKubeconfig(path: string, edit: (text: string) => string): Promise<void> {
  const file = existsSync(path) ? realpathSync(path) : path
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const unlock = await lock(file)
  try {
    const before = readKubeconfig(file)
    const after = edit(before)
    if (after !== before) replaceFile(file, after, existsSync(file) ? statSync(file).mode & 0o777 : 0o600)
  } finally {
    unlock()
  }
}

/** The lock file that kubectl uses: there while somebody writes. */
async function lock(file: string): Promise<() => void> {
  const path = `${file}.lock`
  const deadlineMs = performance.now() + LOCK_TIMEOUT_MS
  for (;;) {
    try {
      closeSync(openSync(path, 'wx', 0o600))
      return () => {
        rmSync(path, { force: true })
      }
    } catch (error) {
      const held = error instanceof Error && 'code' in error && error.code === 'EEXIST'
      if (!held || performance.now() > deadlineMs) {
        const why = held ? `${path} exists; if no kubectl is writing, remove it` : String(error)
        throw new ClientError('KubeconfigUnusable', `${file} cannot be changed: ${why}`, { cause: error })
      }
    }
    await sleep(LOCK_POLL_MS)
  }
}
