import { join } from 'node:path'
import { type KubectlResult, runKubectl } from '../../sandbox/kubectl.ts'
import type { KubectlVersion } from './kubectl-versions.ts'
import { RunningProgram } from './running-program.ts'
import type { PersonName, Surroundings } from './surroundings.ts'

/** What one call has beside its arguments. */
export interface KubectlInput {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
}

/** One kubectl in the hands of one person, with a home directory (and so a discovery cache) of its own. */
export class Kubectl {
  readonly namespace: string
  /** The program, and the arguments that every call begins with. */
  readonly command: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly #kubeconfig: string

  constructor(surroundings: Surroundings, version: KubectlVersion, caller: PersonName | 'direct', namespace: string) {
    const { directory, controlPlane, kubeconfigs } = surroundings
    this.namespace = namespace
    this.command = [version.path, `--namespace=${namespace}`]
    this.#kubeconfig = caller === 'direct' ? controlPlane.adminKubeconfig : kubeconfigs[caller]
    this.env = {
      HOME: join(directory, 'homes', `${caller}-${version.version}`),
      KUBECONFIG: this.#kubeconfig,
      // The credential plugin runs from its sources; what is installed needs no such help.
      NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
    }
  }

  run(argv: readonly string[], { input, env = {} }: KubectlInput = {}): Promise<KubectlResult> {
    const [kubectl, ...first] = this.command
    const options = { kubectl, kubeconfig: this.#kubeconfig, env: { ...this.env, ...env } }
    return runKubectl(input === undefined ? options : { ...options, input }, [...first, ...argv])
  }

  /** Its caller ends it. */
  start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProgram {
    const [kubectl, ...first] = this.command
    return new RunningProgram(kubectl, [...first, ...argv], { ...this.env, ...env })
  }
}
