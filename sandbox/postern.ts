import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The command line as a person has it. */
const fromSources = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const fromBuild = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
/** What Node makes of the sources is kept there, which saves half of what a start costs. */
const compiled = fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url))

const endsWithParent = new URL('./ends-with-parent.ts', import.meta.url).href

export interface PosternRun {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface PosternOptions {
  /** Added to the environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** Flags for Node itself, such as `--trace-warnings`. */
  readonly nodeFlags?: readonly string[]
  /** A command that the whole argv is put behind, and that becomes it. */
  readonly wrapper?: readonly string[]
  /** Runs what `npm run build` made, in place of the sources. */
  readonly built?: boolean
}

/** Starts `postern ARGS…`. The process is its caller's to end; it ends with this one when that is killed. */
export function spawnPostern(args: readonly string[], options: PosternOptions = {}): ChildProcess {
  const argv = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...(options.nodeFlags ?? []),
    '--import',
    endsWithParent,
    options.built === true ? fromBuild : fromSources,
    ...args,
  ]
  return spawn(argv[0] ?? process.execPath, argv.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // A wrapper may forbid to write.
      ...(options.wrapper === undefined && { NODE_COMPILE_CACHE: compiled }),
      ...options.environment,
    },
  })
}

/** Runs `postern ARGS…` to its end. `onStderr` is handed what it says as it says it. */
export async function runPostern(
  args: readonly string[],
  options: PosternOptions & { readonly onStderr?: (text: string) => void } = {},
): Promise<PosternRun> {
  const child = spawnPostern(args, options)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onStderr?.(text)
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode: exitCode ?? -1, stdout, stderr }
}
