import { execFile } from 'node:child_process'
import { readdir, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** A kubectl that is installed. */
export interface KubectlVersion {
  /** Such as `1.30`. */
  readonly version: string
  readonly minor: number
  /** Path of the program. */
  readonly path: string
}

/** The oldest that Postern serves. */
const oldestMinor = 27
/** Google Cloud SDK installs one for each minor version there, without putting them on the path. */
const wellKnownDirectories = ['/usr/lib/google-cloud-sdk/bin']

const execute = promisify(execFile)

/**
 * The kubectls to test with, one for each minor version, oldest first: the one at `own`, and those called `kubectl` or
 * `kubectl.1.NN` in the directories of `$POSTERN_KUBECTLS`, beside any kubectl on the path (links resolved), and in
 * places where others install them.
 */
export async function findKubectls(own: string): Promise<KubectlVersion[]> {
  const found = [await ask(own), ...(await Promise.all((await candidates()).map(ask)))]
  const byMinor = new Map<number, KubectlVersion>()
  for (const kubectl of found) {
    if (kubectl !== null && kubectl.minor >= oldestMinor && !byMinor.has(kubectl.minor)) {
      byMinor.set(kubectl.minor, kubectl)
    }
  }
  return [...byMinor.values()].sort((one, other) => one.minor - other.minor)
}

async function candidates(): Promise<string[]> {
  const named = (process.env['POSTERN_KUBECTLS'] ?? '').split(delimiter)
  const onPath = (process.env['PATH'] ?? '').split(delimiter)
  const beside = await Promise.all(onPath.map(directoryOfKubectl))
  const directories = new Set([...named, ...beside, ...wellKnownDirectories].filter((directory) => directory !== ''))
  const files = await Promise.all([...directories].map(kubectlsIn))
  return [...new Set(files.flat())]
}

/** Where the kubectl of a directory really is; empty when there is none. */
async function directoryOfKubectl(directory: string): Promise<string> {
  return realpath(join(directory, 'kubectl')).then(
    (path) => join(path, '..'),
    () => '',
  )
}

async function kubectlsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  return Promise.all(
    names
      .filter((name) => /^kubectl([.-]?v?1\.\d+(\.\d+)?)?$/.test(name))
      .sort()
      .reverse()
      .map((name) => realpath(join(directory, name))),
  )
}

/** Null for what is no kubectl, and for one that only picks another. */
async function ask(path: string): Promise<KubectlVersion | null> {
  try {
    const { stdout } = await execute(path, ['version', '--client', '--output=json'])
    const { gitVersion } = (JSON.parse(stdout) as { clientVersion: { gitVersion: string } }).clientVersion
    const [, version, minor] = /^v(1\.(\d+))\./.exec(gitVersion) ?? []
    if (version === undefined || gitVersion.includes('dispatcher')) return null
    return { version, minor: Number(minor), path }
  } catch {
    return null
  }
}
