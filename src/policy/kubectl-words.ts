import { excerpt } from '../kube/quote.ts'

/** Words that are no request. The message is one sentence without a full stop. */
export class WordsError extends Error {
  override readonly name = 'WordsError'
}

/** The words of a kubectl command line, sorted. */
export interface KubectlLine {
  /** The command and what it is about, without flags. */
  readonly words: readonly string[]
  /** Flags by their long name; those without a value are `true`. What stands behind `--` is left out. */
  readonly flags: ReadonlyMap<string, string>
}

/** Flags that change what is asked, by every spelling, and whether a value follows. */
const FLAGS: Readonly<Record<string, { readonly long: string; readonly value: boolean }>> = {
  '-n': { long: 'namespace', value: true },
  '--namespace': { long: 'namespace', value: true },
  '-A': { long: 'all-namespaces', value: false },
  '--all-namespaces': { long: 'all-namespaces', value: false },
  '-w': { long: 'watch', value: false },
  '--watch': { long: 'watch', value: false },
  '--watch-only': { long: 'watch', value: false },
  '--all': { long: 'all', value: false },
  '-l': { long: 'selector', value: true },
  '--selector': { long: 'selector', value: true },
  '--field-selector': { long: 'field-selector', value: true },
  '--subresource': { long: 'subresource', value: true },
  '--raw': { long: 'raw', value: true },
  '-f': { long: 'filename', value: true },
  '--filename': { long: 'filename', value: true },
  '-k': { long: 'filename', value: true },
  '--list': { long: 'list', value: false },
  '--server-side': { long: 'server-side', value: false },
}

/** Flags that change nothing here but are followed by a value. */
const VALUES_IGNORED: ReadonlySet<string> = new Set([
  ...[
    '-c',
    '--container',
    '-o',
    '--output',
    '-p',
    '--patch',
    '--type',
    '--replicas',
    '--image',
    '--context',
    '--cluster',
  ],
  ...['--tail', '--since', '--timeout', '--for', '--limit', '--target', '--port', '--to-revision', '--grace-period'],
])

/** Flags that change nothing here and stand alone. */
const IGNORED =
  /^(?:-[itqvR]+|--(?:stdin|tty|quiet|follow|previous|timestamps|force|now|wait|show-labels|no-headers|recursive|cascade|dry-run|ignore-not-found|all-containers|ignore-daemonsets|delete-emptydir-data|overwrite))$/

/** Sorts words, each one argument of a command line, with or without `kubectl` before them. */
export function sortWords(given: readonly string[]): KubectlLine {
  const words: string[] = []
  const flags = new Map<string, string>()
  const command = given[0] === 'kubectl' ? given.slice(1) : given
  for (let index = 0; index < command.length; index += 1) {
    const word = command[index] ?? ''
    if (word === '--') break
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      continue
    }
    const [name = '', ...rest] = word.split('=')
    const flag = Object.hasOwn(FLAGS, name) && !followsLogs(words, name) ? FLAGS[name] : undefined
    const value = rest.length > 0 ? rest.join('=') : command[index + 1]
    if (flag?.value === true || VALUES_IGNORED.has(name)) {
      if (value === undefined) throw new WordsError(`the flag ${name} has no value`)
      if (rest.length === 0) index += 1
    }
    if (flag !== undefined) {
      if (flag.value) flags.set(flag.long, value ?? '')
      else if (rest[0] !== 'false') flags.set(flag.long, 'true')
    } else if (rest.length === 0 && !VALUES_IGNORED.has(name) && !IGNORED.test(name) && !followsLogs(words, name)) {
      throw new WordsError(`the flag ${excerpt(name)} is not known here; leave it out, or write ${name}=VALUE`)
    }
  }
  return { words, flags }
}

/** `-f` of logs means follow. */
function followsLogs([command]: readonly string[], flag: string): boolean {
  return command === 'logs' && flag === '-f'
}

/** Splits text at white space, as a shell does, with single and double quotes and without anything else of a shell. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  const pattern = /\s*((?:[^\s'"]|'[^']*'|"[^"]*")+)/y
  let end = 0
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    words.push(
      (match[1] ?? '').replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ''),
    )
    end = pattern.lastIndex
  }
  if (text.slice(end).trim() !== '') throw new WordsError('a quote is not closed')
  return words
}
