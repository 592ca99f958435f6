import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'

/** What a kubectl that has ended left behind. */
export interface KubectlResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Which kubectl is run, and as whom. */
export interface KubectlOptions {
  /** Path of the program. */
  readonly kubectl: string
  /** Path of the kubeconfig. */
  readonly kubeconfig: string
  /** Its standard input, which otherwise is empty. */
  readonly input?: string | Uint8Array
  /** Variables beside those of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** Ends it. */
  readonly signal?: AbortSignal
}

/** The variables for a kubectl; what it keeps of a server's discovery goes beside the kubeconfig, not to the home. */
export function kubectlEnvironment({ kubeconfig, env }: KubectlOptions): NodeJS.ProcessEnv {
  return { ...process.env, KUBECACHEDIR: join(dirname(kubeconfig), 'cache'), ...env, KUBECONFIG: kubeconfig }
}

/** Runs kubectl to its end, whatever its exit code; a signal that ended it counts as -1. */
export async function runKubectl(options: KubectlOptions, argv: readonly string[]): Promise<KubectlResult> {
  const child = spawn(options.kubectl, argv, {
    env: kubectlEnvironment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  // One that ends without reading its input is no failure of ours.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code: code ?? -1, stdout, stderr }
}

/**
 * The standard output of a kubectl that succeeds.
 *
 * @throws Error with its standard error when it does not.
 */
export async function kubectlOutput(options: KubectlOptions, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runKubectl(options, argv)
  if (code !== 0) throw new Error(`kubectl ${argv.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}
