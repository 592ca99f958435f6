import { execFile, spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { goBinary } from '../../sandbox/go-program.ts'

const chart = fileURLToPath(new URL('../../deploy/helm/postern', import.meta.url))

/** Paths for a command line. */
interface ShellOptions {
  /** Where it is run. */
  readonly directory: string
  /** Where helm may keep what it likes. */
  readonly home: string
  readonly kubeconfig: string
}

/** Helm itself, run on the chart of this project. */
export interface Helm {
  /**
   * The manifests of a release, as YAML.
   *
   * @throws Error with what helm says of values that it refuses.
   */
  template(release: { readonly name: string; readonly namespace: string }, values: object): Promise<string>
  /** What `helm lint --strict` prints. */
  lint(values: object): Promise<string>
  /**
   * Standard output of a command line that begins with `helm`, as a shell runs it.
   *
   * @throws Error with standard error when it fails.
   */
  shell(command: string, options: ShellOptions): Promise<string>
}

/** Builds Helm when the cache does not hold it: one to three minutes of one core, less beside a control plane's build. */
export async function startHelm(): Promise<Helm> {
  const binary = await goBinary({
    name: 'helm',
    title: 'Helm',
    sources: fileURLToPath(new URL('../helm', import.meta.url)),
    mainPackage: 'helm.sh/helm/v4/cmd/helm',
    tags: '',
    linkerFlags: '-s -w',
  })
  return {
    template: ({ name, namespace }, values) =>
      run(binary, ['template', name, chart, `--namespace=${namespace}`, '--values=-'], values),
    lint: (values) => run(binary, ['lint', '--strict', chart, '--values=-'], values),
    shell: async (command, { directory, home, kubeconfig }) => {
      const env = { PATH: `${dirname(binary)}:${process.env['PATH'] ?? ''}`, HOME: home, KUBECONFIG: kubeconfig }
      return (await promisify(execFile)('sh', ['-c', command], { cwd: directory, env })).stdout
    },
  }
}

async function run(binary: string, argv: readonly string[], values: object): Promise<string> {
  const helm = spawn(binary, argv, { stdio: ['pipe', 'pipe', 'pipe'] })
  helm.stdin.end(JSON.stringify(values))
  const ended = new Promise<number | null>((resolve, reject) => {
    helm.on('error', reject)
    helm.on('close', resolve)
  })
  const [code, output, complaint] = await Promise.all([ended, text(helm.stdout), text(helm.stderr)])
  if (code !== 0) throw new Error(`${complaint}${output}`)
  return output
}
