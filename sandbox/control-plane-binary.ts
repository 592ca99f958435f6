import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, goBinary } from './go-program.ts'

const sources = fileURLToPath(new URL('./control-plane', import.meta.url))

/**
 * Path of the control plane's binary, which is built when the cache does not hold it: about five minutes on two cores,
 * ten seconds when Go's own cache is warm.
 *
 * @throws Error of one line when there is no Go, or an old one.
 */
export async function controlPlaneBinary(options: BuildOptions = {}): Promise<string> {
  const program = { name: 'control-plane', title: 'the control plane', sources, tags: 'grpcnotrace' }
  return goBinary({ ...program, linkerFlags: await linkerFlags() }, options)
}

/** Strips the binary, and has every component say the version of Kubernetes that it is. */
async function linkerFlags(): Promise<string> {
  const [, version, major, minor] =
    /\tk8s\.io\/kubernetes (v(\d+)\.(\d+)\.\S+)/.exec(await readFile(join(sources, 'go.mod'), 'utf8')) ?? []
  if (version === undefined || major === undefined || minor === undefined) throw new Error('go.mod names no Kubernetes')
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean', gitCommit: '' }
  const variables = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((place) =>
    Object.entries(values).map(([name, value]) => `-X ${place}.${name}=${value}`),
  )
  return ['-s', '-w', ...variables].join(' ')
}
