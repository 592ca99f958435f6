import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { withBuildLock } from './build-lock.ts'
import { type BuildProgress, showBuildProgress } from './build-progress.ts'

const oldestGo = { major: 1, minor: 26 }
const keepUnusedDays = 14

/** A program in Go that is built here. */
export interface GoProgram {
  /** Name of the binary, and of its folder in the cache. */
  readonly name: string
  /** What to call it in a sentence, such as `the control plane`. */
  readonly title: string
  /** Folder with its module. */
  readonly sources: string
  /** Package to build, where it is a tool that the module names. By default the one of the folder. */
  readonly mainPackage?: string
  /** Build tags, separated by commas. */
  readonly tags: string
  /** What the linker is told. */
  readonly linkerFlags: string
}

/** Where a build reports to. */
export interface BuildOptions {
  /** Called once a second. By default progress is shown on standard error. */
  readonly onProgress?: (progress: BuildProgress) => void
}

/**
 * Path of the program's binary, which is built when the cache does not hold it.
 *
 * The cache is `$XDG_CACHE_HOME/postern/NAME`, by the hash of the sources and of Go's version. Any number of
 * processes may ask at once: one builds, the others wait.
 *
 * @throws Error of one line when there is no Go, or an old one.
 */
export async function goBinary(program: GoProgram, options: BuildOptions = {}): Promise<string> {
  const go = await goVersion(program)
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'postern', program.name)
  const directory = join(cache, await hashOfSources(program, go))
  const binary = join(directory, program.name)
  if (!(await exists(binary))) {
    await mkdir(directory, { recursive: true })
    const progress = options.onProgress ?? showBuildProgress(program.title)
    await withBuildLock(
      join(directory, 'lock'),
      async () => {
        if (await exists(binary)) return
        await build(program, binary, progress)
        await removeUnused(cache)
      },
      (elapsedSeconds) => {
        progress({ stage: 'waiting', elapsedSeconds, packages: 0, totalPackages: 0 })
      },
    )
  }
  const now = new Date()
  await utimes(directory, now, now)
  return binary
}

/** What Go is told, whatever the surroundings say: a value of its own beats `go env -w`, where an empty one would not. */
function goEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0' }
  delete environment['GOOS']
  delete environment['GOARCH']
  return environment
}

async function goVersion({ title, sources }: GoProgram): Promise<string> {
  const missing = `${title} is built with Go ${oldestGo.major}.${oldestGo.minor} or newer: install it from go.dev/dl`
  let answer: string[]
  try {
    answer = await goLines(sources, ['env', 'GOVERSION', 'GOOS', 'GOARCH'])
  } catch (cause) {
    throw new Error(missing, { cause })
  }
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(answer[0] ?? '') ?? []
  const recent = Number(major) > oldestGo.major || (Number(major) === oldestGo.major && Number(minor) >= oldestGo.minor)
  if (!recent) throw new Error(`${missing} (found ${answer[0] ?? 'none'})`)
  return answer.join(' ')
}

async function hashOfSources({ sources, tags }: GoProgram, go: string): Promise<string> {
  const hash = createHash('sha256').update(go).update(tags)
  const names = await readdir(sources, { recursive: true })
  for (const name of names.filter((each) => /(\.go|go\.mod|go\.sum)$/.test(each)).sort()) {
    hash.update(`\0${name}\0`).update(await readFile(join(sources, name)))
  }
  return hash.digest('hex').slice(0, 32)
}

async function build(
  { sources, mainPackage = '.', tags, linkerFlags }: GoProgram,
  binary: string,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  const started = performance.now()
  let stage: BuildProgress['stage'] = 'downloading'
  let packages = 0
  let totalPackages = 0
  const ticker = setInterval(() => {
    const elapsedSeconds = Math.round((performance.now() - started) / 1000)
    onProgress({ stage, elapsedSeconds, packages, totalPackages })
  }, 1000)
  const temporary = `${binary}.${process.pid}`
  try {
    totalPackages = (await goLines(sources, ['list', '-deps', '-tags', tags, mainPackage])).length
    stage = 'compiling'
    const flags = ['-v', '-trimpath', '-buildvcs=false', '-tags', tags, '-ldflags', linkerFlags]
    await goLines(sources, ['build', ...flags, '-o', temporary, mainPackage], () => {
      packages += 1
    })
    await rename(temporary, binary)
  } finally {
    clearInterval(ticker)
    await rm(temporary, { force: true })
  }
}

/**
 * Lines that Go writes to its standard output.
 *
 * @param onLine is handed each line of its standard error.
 * @throws Error with the end of its standard error when Go fails.
 */
async function goLines(sources: string, argv: readonly string[], onLine?: (line: string) => void): Promise<string[]> {
  const go = spawn('go', argv, { cwd: sources, env: goEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const complaints: string[] = []
  createInterface(go.stdout).on('line', (line) => lines.push(line))
  createInterface(go.stderr).on('line', (line) => {
    onLine?.(line)
    if (complaints.push(line) > 20) complaints.shift()
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    go.on('error', reject)
    go.on('close', resolve)
  })
  if (code !== 0) throw new Error(`go ${argv[0] ?? ''} failed:\n${complaints.join('\n')}`)
  return lines
}

async function removeUnused(cache: string): Promise<void> {
  const oldest = Date.now() - keepUnusedDays * 24 * 3600 * 1000
  for (const name of await readdir(cache)) {
    const directory = join(cache, name)
    if ((await stat(directory)).mtimeMs < oldest) await rm(directory, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
