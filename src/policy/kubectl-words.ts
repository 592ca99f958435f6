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
  /** Values of flags that may be repeated, in their order. */
  readonly lists: ReadonlyMap<string, readonly string[]>
}

/** Flags that change what is asked, and are followed by a value. */
const WITH_VALUE: ReadonlySet<string> = new Set([
  ...['namespace', 'selector', 'field-selector', 'subresource', 'raw', 'filename', 'kustomize', 'copy-to'],
  ...['as', 'as-group', 'as-uid'],
])
/** Flags that change what is asked, and stand alone. */
const ALONE: ReadonlySet<string> = new Set([
  ...['all-namespaces', 'watch', 'watch-only', 'all', 'list', 'server-side', 'stdin', 'tty', 'force'],
])
/** Flags that change nothing of what is asked, and are followed by a value. */
const IGNORED_WITH_VALUE: ReadonlySet<string> = new Set([
  ...['output', 'container', 'context', 'cluster', 'kubeconfig', 'request-timeout', 'v', 'template', 'sort-by'],
  ...['label-columns', 'chunk-size', 'field-manager', 'tail', 'since', 'since-time', 'timeout', 'for', 'limit'],
  ...['limit-bytes', 'max-log-requests', 'pod-running-timeout', 'address', 'grace-period', 'patch', 'patch-file'],
  ...['type', 'replicas', 'current-replicas', 'resource-version', 'revision', 'to-revision', 'image', 'env', 'port'],
  ...['target', 'target-port', 'protocol', 'name', 'labels', 'annotations', 'overrides', 'restart', 'profile', 'min'],
  ...['max', 'cpu-percent', 'requests', 'limits', 'from-literal', 'from-file', 'from-env-file', 'from', 'schedule'],
  ...['rule', 'class', 'tcp', 'verb', 'resource', 'resource-name', 'role', 'clusterrole', 'serviceaccount', 'group'],
  ...['user', 'duration', 'audience', 'hard', 'value', 'description', 'cert', 'key', 'retries', 'api-group'],
])
/** Flags that change nothing of what is asked, and stand alone; what is written behind `=` changes nothing either. */
const IGNORED_ALONE: ReadonlySet<string> = new Set([
  ...['quiet', 'follow', 'previous', 'timestamps', 'prefix', 'all-containers', 'all-pods', 'ignore-errors', 'now'],
  ...['wait', 'show-labels', 'show-kind', 'show-managed-fields', 'no-headers', 'recursive', 'cascade', 'dry-run'],
  ...['ignore-not-found', 'ignore-daemonsets', 'delete-emptydir-data', 'disable-eviction', 'overwrite', 'validate'],
  ...['save-config', 'force-conflicts', 'output-watch-events', 'server-print', 'rm', 'command', 'expose', 'attach'],
  ...['share-processes', 'containers', 'sum', 'no-preserve', 'show-events', 'use-protocol-buffers', 'local'],
  ...['allow-missing-template-keys', 'insecure-skip-tls-verify-backend', 'record'],
])
const SHORT: Readonly<Record<string, string>> = {
  ...{ n: 'namespace', A: 'all-namespaces', w: 'watch', l: 'selector', f: 'filename', k: 'kustomize', o: 'output' },
  ...{ c: 'container', i: 'stdin', t: 'tty', q: 'quiet', L: 'label-columns', p: 'patch', R: 'recursive', v: 'v' },
}
/** Letters that mean something else behind these commands. */
const SHORT_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  logs: { f: 'follow', p: 'previous' },
}
const REPEATED: ReadonlySet<string> = new Set(['as-group'])

/** Sorts words, each one argument of a command line, with or without `kubectl` before them. */
export function sortWords(given: readonly string[]): KubectlLine {
  const words: string[] = []
  const flags = new Map<string, string>()
  const lists = new Map<string, readonly string[]>()
  const line = given[0] === 'kubectl' ? given.slice(1) : given
  const command = line.find((word) => !word.startsWith('-')) ?? ''
  for (let index = 0; index < line.length; index += 1) {
    const word = line[index] ?? ''
    if (word === '--') break
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      continue
    }
    for (const { name, value } of flagsOf(word, command)) {
      const takesValue = WITH_VALUE.has(name) || IGNORED_WITH_VALUE.has(name)
      const said = takesValue ? (value ?? line[(index += 1)]) : value
      if (takesValue && said === undefined) throw new WordsError(`the flag ${excerpt(word)} has no value`)
      if (REPEATED.has(name)) lists.set(name, [...(lists.get(name) ?? []), said ?? ''])
      else if (WITH_VALUE.has(name)) flags.set(name, said ?? '')
      else if (ALONE.has(name) && said !== 'false') flags.set(name, 'true')
    }
  }
  return { words, flags, lists }
}

interface GivenFlag {
  readonly name: string
  /** Undefined when it does not stand in the same word. */
  readonly value: string | undefined
}

/** The flags in one word, by their long names: `--watch`, `--output=wide`, `-n`, `-nprod`, `-it`. */
function flagsOf(word: string, command: string): readonly GivenFlag[] {
  const [written = '', ...rest] = word.split('=')
  const value = rest.length > 0 ? rest.join('=') : undefined
  if (word.startsWith('--')) return [{ name: known(written.slice(2), written), value }]
  const found: GivenFlag[] = []
  for (let at = 1; at < word.length; at += 1) {
    const letter = word[at] ?? ''
    const name = known(longOf(letter, command), `-${letter}`)
    const behind = word.slice(at + 1).replace(/^=/, '')
    if (WITH_VALUE.has(name) || IGNORED_WITH_VALUE.has(name)) {
      return [...found, { name, value: behind === '' ? undefined : behind }]
    }
    found.push({ name, value: undefined })
  }
  return found
}

function longOf(letter: string, command: string): string {
  const own = Object.hasOwn(SHORT_OF, command) ? SHORT_OF[command] : undefined
  if (own !== undefined && Object.hasOwn(own, letter)) return own[letter] ?? ''
  return Object.hasOwn(SHORT, letter) ? (SHORT[letter] ?? '') : ''
}

function known(name: string, written: string): string {
  if ([WITH_VALUE, ALONE, IGNORED_WITH_VALUE, IGNORED_ALONE].some((flags) => flags.has(name))) return name
  throw new WordsError(`the flag ${excerpt(written)} is not known here; leave it out where it changes nothing`)
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
