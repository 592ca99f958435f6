import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { createProgram } from '../src/cli/program.ts'

/*
 * The commands that the documentation shows: those of ours exist and take the flags that they are given, those of npm install
 * what there is, and the files of this project that any of them names are there, and in the package.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const { version, files, scripts } = JSON.parse(read('package.json')) as {
  readonly version: string
  readonly files: readonly string[]
  readonly scripts: Readonly<Record<string, string>>
}
const pages = globSync(['README.md', 'CONTRIBUTING.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })
const shown = pages.flatMap((page) => commandsOf(read(page)).map((words) => ({ page, words, line: words.join(' ') })))
const named = pages.flatMap((page) => namesOf(read(page)).map((line): [string, string] => [line, page]))

/** Commands in blocks of code, word by word, without `sudo`. */
function commandsOf(text: string): string[][] {
  const blocks = [...text.matchAll(/^( *)```(.*)\n([^]*?)^\1```/gm)]
    .filter(([, , language = '']) => ['', 'sh', 'console'].includes(language))
    .map(([, , , block = '']) => block)
  return blocks
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .flatMap((line) => line.split(/ && |; /))
    .map(wordsOf)
    .filter(([program = '']) => ['postern', 'npm', 'kubectl', 'helm', 'docker', 'node'].includes(program))
}

/** Words of a shell command, up to a comment, a redirection or a pipe. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replaceAll(/['"]/g, ''))
  const end = words.findIndex((word) => /^[#>|]/.test(word))
  const command = end < 0 ? words : words.slice(0, end)
  return command.slice(command.findIndex((word) => word !== '$' && word !== 'sudo'))
}

/** What a text in the middle of a sentence calls a command of ours. */
function namesOf(text: string): string[] {
  return [...text.matchAll(/`(postern [^`]+)`/g)].map(([, command = '']) => command.replaceAll(/\s+/g, ' '))
}

const ours = createProgram(() => () => Promise.resolve())

test('the pages show commands of each kind', () => {
  const programs = new Set(shown.map(({ words }) => words[0]))
  expect([...programs].sort()).toEqual(expect.arrayContaining(['docker', 'helm', 'kubectl', 'npm', 'postern']))
  expect(
    shown.filter(({ page, words }) => page === 'docs/install.md' && words[0] === 'postern').length,
  ).toBeGreaterThan(8)
})

test.each(
  shown.filter(({ words }) => words[0] === 'postern').map(({ line, page, words }) => [line, page, words] as const),
)('%s, in %s, is a command that can be run', async (_line, _page, [, ...args]) => {
  const program = createProgram(() => () => Promise.resolve())
  await expect(program.parseAsync(args, { from: 'user' })).resolves.toBe(program)
})

test.each(named)('%s, in a sentence of %s, is a command with flags that exist', (line) => {
  const [, ...words] = wordsOf(line)
  let at: Command = ours
  for (const word of words.filter((each) => !each.startsWith('-'))) {
    if (at.commands.length === 0) break
    const choices = word.split('|').map((name) => at.commands.find((child) => child.name() === name))
    expect(choices, word).not.toContain(undefined)
    at = choices[0] ?? at
  }
  const flags = at.options.flatMap(({ short, long }) => [short, long])
  for (const word of words.filter((each) => each.startsWith('-'))) expect(flags).toContain(word.split('=', 1)[0])
})

test.each(shown.filter(({ words }) => words[0] === 'npm').map(({ line, page, words }) => [line, page, words] as const))(
  '%s, in %s, finds what it asks for',
  (_line, _page, [, verb = '', ...args]) => {
    const [what = ''] = args.filter((word) => !word.startsWith('-'))
    if (verb === 'install') expect([`./postern-${version}.tgz`, 'node@24']).toContain(what)
    else if (verb === 'run') expect(Object.keys(scripts)).toContain(what)
    else expect(['pack', 'test', 'ci']).toContain(verb)
  },
)

const paths = shown.flatMap(({ page, words }) =>
  words
    .flatMap((word) => word.split('='))
    .filter((word) => /^(?:\.\.\/)*(?:deploy|examples|schemas|docs)\//.test(word))
    .map((word): [string, string] => [word.startsWith('../') ? join(dirname(page), word) : word, page]),
)

test.each(paths)('%s, which a command in %s names, is there and in the package', (path) => {
  expect(existsSync(join(root, path))).toBe(true)
  expect(files.some((entry) => !relative(entry, path).startsWith('..'))).toBe(true)
})

test('every page names the version that there is', () => {
  const texts = [...pages, 'deploy/connector.yaml', 'deploy/Dockerfile'].map(read).join('\n')
  const versions = [...texts.matchAll(/postern[:-](\d+\.\d+\.\d+)/g)].map(([, found]) => found)
  expect([...new Set(versions)]).toEqual([version])
  expect(read('deploy/helm/postern/Chart.yaml')).toContain(`\nversion: ${version}\nappVersion: ${version}\n`)
})
