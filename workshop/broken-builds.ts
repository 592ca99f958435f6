import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { MUTATIONS, type Mutation, mutate } from './mutations.ts'

// Breaks a copy of the tree, once for each mutation, and tells which tests fail. Fails when a file of tests that has to
// notice does not. `npm run broken-builds`, or with parts of names behind `--` for some of them.

/** A broken gateway may hang what waits for it. */
const LONGEST_TEST_MS = 10_000
const LONGEST_RUN_MS = 5 * 60_000
/** Most characters of a test's name that the table shows. */
const LONGEST_NAME = 100

interface Failure {
  readonly file: string
  readonly test: string
}

interface Outcome {
  readonly mutation: Mutation
  readonly failures: readonly Failure[]
}

const wanted = process.argv.slice(2)
const chosen = MUTATIONS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
const tried = await tryAll(chosen)
process.stdout.write(`${tableOf(tried)}\n`)
const unnoticed = tried.flatMap(({ mutation, failures }) =>
  mutation.noticedBy
    .filter((file) => !failures.some((failure) => failure.file === file))
    .map((file) => `${file} does not notice: ${mutation.name}`),
)
for (const line of unnoticed) process.stderr.write(`${line}\n`)
process.exitCode = unnoticed.length === 0 && chosen.length > 0 ? 0 : 1

async function tryAll(mutations: readonly Mutation[]): Promise<readonly Outcome[]> {
  const copy = await mkdtemp(join(tmpdir(), 'postern-broken-'))
  try {
    await copyTree(copy)
    await requireSound(copy, [...new Set(mutations.flatMap(({ noticedBy }) => noticedBy))])
    const outcomes: Outcome[] = []
    for (const mutation of mutations) {
      const outcome = { mutation, failures: await failuresWith(copy, mutation) }
      outcomes.push(outcome)
      process.stderr.write(`${outcomes.length}/${mutations.length} ${rowOf(outcome)}\n`)
    }
    return outcomes
  } finally {
    await rm(copy, { recursive: true })
  }
}

/** Copies what would be committed to an empty directory, with the same packages. */
async function copyTree(copy: string): Promise<void> {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  for (const path of listed.toString().split('\0')) {
    if (path === '' || !existsSync(path)) continue
    await mkdir(join(copy, dirname(path)), { recursive: true })
    await cp(path, join(copy, path))
  }
  await symlink(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'))
}

/** @throws Error when a test fails that nothing was broken for. */
async function requireSound(copy: string, files: readonly string[]): Promise<void> {
  const failures = await run(copy, files)
  const names = failures.map(({ file, test }) => `\n${file}: ${test}`)
  if (names.length > 0) throw new Error(`these fail without a mutation:${names.join('')}`)
}

async function failuresWith(copy: string, { edits, noticedBy }: Mutation): Promise<readonly Failure[]> {
  const originals = new Map<string, string>()
  try {
    for (const edit of edits) {
      const path = join(copy, edit.file)
      const source = await readFile(path, 'utf8')
      if (!originals.has(path)) originals.set(path, source)
      await writeFile(path, mutate(source, edit))
    }
    return await run(copy, noticedBy)
  } finally {
    for (const [path, source] of originals) await writeFile(path, source)
  }
}

/**
 * Runs files of tests.
 *
 * @throws Error when the run gives no report, for it did not start, or not end in time.
 */
async function run(copy: string, files: readonly string[]): Promise<readonly Failure[]> {
  const report = join(copy, 'report.json')
  await rm(report, { force: true })
  const vitest = join(copy, 'node_modules/vitest/vitest.mjs')
  const options = [
    '--project',
    'unit',
    '--project',
    'integration',
    '--project',
    'security',
    '--no-cache',
    '--testTimeout',
    String(LONGEST_TEST_MS),
  ]
  const output = ['--reporter', 'json', '--outputFile', report]
  const child = spawn(process.execPath, [vitest, 'run', ...files, ...options, ...output], {
    cwd: copy,
    stdio: 'ignore',
    timeout: LONGEST_RUN_MS,
  })
  await new Promise((resolve) => child.once('close', resolve))
  if (!existsSync(report)) throw new Error(`there is no report of a run of ${files.join(', ')}`)
  return failuresIn(await readFile(report, 'utf8'), copy)
}

/** The part that is read of what vitest's `json` reporter writes. */
interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

/** The tests that failed; of a file that failed as a whole, the file. */
function failuresIn(report: string, copy: string): readonly Failure[] {
  const { testResults } = JSON.parse(report) as Report
  return testResults.flatMap(({ name, status, assertionResults }) => {
    const file = relative(copy, name)
    const failed = assertionResults.filter((result) => result.status === 'failed')
    if (failed.length === 0 && status === 'failed') return [{ file, test: 'the file itself' }]
    return failed.map(({ fullName }) => ({ file, test: fullName }))
  })
}

function tableOf(outcomes: readonly Outcome[]): string {
  return ['| broken on purpose | tests that fail | such as |', '| --- | --- | --- |', ...outcomes.map(rowOf)].join('\n')
}

/** Tells how many tests fail, and the first one of each of the first two files, or two of the only one. */
function rowOf({ mutation, failures }: Outcome): string {
  const byFile = [...Map.groupBy(failures, ({ file }) => file).values()]
  const examples =
    byFile.length === 1 ? failures.slice(0, 2) : byFile.slice(0, 2).flatMap((ofFile) => ofFile.slice(0, 1))
  const cells = [mutation.name, String(failures.length), examples.map(cellOf).join('; ')]
  return `| ${cells.join(' | ')} |`
}

/** The name of a test as a cell of a table. */
function cellOf({ file, test }: Failure): string {
  const [name = ''] = (file.split('/').at(-1) ?? '').split('.')
  const shown = test.length <= LONGEST_NAME ? test : `${test.slice(0, LONGEST_NAME)}…`
  return `${name}: “${shown.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')}”`
}
