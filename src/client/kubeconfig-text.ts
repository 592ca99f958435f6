import { isDeepStrictEqual } from 'node:util'
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
  stringify,
  type Document,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { ClientError } from './client-error.ts'

/** The lists of named entries in a kubeconfig, and what an entry holds beside its name. */
export const KUBECONFIG_LISTS = { clusters: 'cluster', users: 'user', contexts: 'context' } as const
export type KubeconfigList = keyof typeof KUBECONFIG_LISTS

export type Fields = Readonly<Record<string, unknown>>

/** One change. `entry` is what stands under `cluster`, `user` or `context`; null removes it. */
export type KubeconfigEdit =
  | { readonly list: KubeconfigList; readonly name: string; readonly entry: Fields | null }
  | { readonly currentContext: string }

/** What a kubeconfig says, as far as it is read here. */
export interface Kubeconfig {
  readonly clusters: ReadonlyMap<string, Fields>
  readonly users: ReadonlyMap<string, Fields>
  readonly contexts: ReadonlyMap<string, Fields>
  /** Empty when there is none. */
  readonly currentContext: string
}

/**
 * Reads the text of a kubeconfig; an empty text is an empty kubeconfig. `file` is named in errors.
 *
 * @throws ClientError `KubeconfigUnusable`.
 */
export function parseKubeconfig(text: string, file: string): Kubeconfig {
  const value = toFields(parse(text, file).toJS()) ?? {}
  const currentContext = value['current-context']
  return {
    clusters: entriesOf(value, 'clusters'),
    users: entriesOf(value, 'users'),
    contexts: entriesOf(value, 'contexts'),
    currentContext: typeof currentContext === 'string' ? currentContext : '',
  }
}

/**
 * Changes the text of a kubeconfig. What is not changed keeps every byte: comments, order, indentation.
 *
 * A list in flow style (`[{…}]`, as in JSON) cannot be added to in place; then comments and order stay, layout does not.
 *
 * @throws ClientError `KubeconfigUnusable`.
 */
export function editKubeconfig(text: string, edits: readonly KubeconfigEdit[], file: string): string {
  const start = text.trim() === '' ? 'apiVersion: v1\nkind: Config\n' : text
  return edits.reduce((before, edit) => applyEdit(before, edit, file), start)
}

function applyEdit(text: string, edit: KubeconfigEdit, file: string): string {
  const document = parse(text, file)
  const spliced =
    'list' in edit ? spliceEntry(text, document, edit) : spliceCurrentContext(text, document, edit.currentContext)
  editDocument(document, edit)
  if (spliced !== null && meansTheSame(spliced, document)) return spliced
  return document.toString({ lineWidth: 0 })
}

function parse(text: string, file: string): Document {
  const document = parseDocument(text)
  const [error] = document.errors
  if (error !== undefined) throw unusable(file, error.message.split('\n', 1)[0] ?? '')
  if (document.contents !== null && !isMap(document.contents)) throw unusable(file, 'it is no mapping')
  for (const list of Object.keys(KUBECONFIG_LISTS)) {
    const node = document.get(list)
    if (node !== undefined && node !== null && !isSeq(node)) throw unusable(file, `"${list}" is no list`)
  }
  return document
}

function unusable(file: string, why: string): ClientError {
  return new ClientError(
    'KubeconfigUnusable',
    `${file} is no kubeconfig: ${why}; repair it or name another with --kubeconfig`,
  )
}

function entriesOf(value: Fields, list: KubeconfigList): Map<string, Fields> {
  const items = Array.isArray(value[list]) ? (value[list] as unknown[]) : []
  const entries = new Map<string, Fields>()
  for (const item of items.map(toFields)) {
    const name = item?.['name']
    // As in kubectl, the first of two entries with the same name counts.
    if (typeof name === 'string' && !entries.has(name))
      entries.set(name, toFields(item?.[KUBECONFIG_LISTS[list]]) ?? {})
  }
  return entries
}

/** A mapping, or null for anything else. */
export function toFields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
}

/** The same edit on the parsed document: what the text has to mean afterwards. */
function editDocument(document: Document, edit: KubeconfigEdit): void {
  if (!('list' in edit)) {
    document.set('current-context', edit.currentContext)
    return
  }
  const items = document.get(edit.list)
  const index = isSeq(items) ? indexOf(items, edit.name) : -1
  if (edit.entry === null) {
    if (index >= 0) document.deleteIn([edit.list, index])
    return
  }
  const item = document.createNode(toItem(edit.list, edit.name, edit.entry))
  if (index >= 0) document.setIn([edit.list, index], item)
  else if (isSeq(items)) items.add(item)
  else document.set(edit.list, document.createNode([toItem(edit.list, edit.name, edit.entry)]))
}

function meansTheSame(text: string, document: Document): boolean {
  const spliced = parseDocument(text)
  return spliced.errors.length === 0 && isDeepStrictEqual(spliced.toJS(), document.toJS())
}

/** Null where the text has a form that is not spliced. */
function spliceEntry(
  text: string,
  document: Document,
  { list, name, entry }: Extract<KubeconfigEdit, { readonly list: KubeconfigList }>,
): string | null {
  const item = entry === null ? '' : render([toItem(list, name, entry)])
  const pair = pairOf(document, list)
  if (pair === undefined) return entry === null ? text : `${endLine(text)}${list}:\n${item}`
  const items = pair.value
  if (!isSeq(items) || items.items.length === 0) return entry === null ? text : fillEmptyList(text, pair, item)
  if (items.flow === true || items.range === undefined || items.range === null) return null

  const column = items.range[0] - lineStart(text, items.range[0])
  const index = indexOf(items, name)
  if (index < 0) {
    const end = endOf(items.items.at(-1))
    if (entry === null) return text
    return end === null ? null : splice(text, end, end, indent(item, column))
  }
  const found = items.items[index]
  const [from, to] = [startOf(text, found, column), endOf(found)]
  if (from === null || to === null) return null
  if (entry !== null || items.items.length > 1) return splice(text, from, to, indent(item, column))
  const emptied = splice(text, from, to, '')
  return splice(emptied, pair.colon + 1, pair.colon + 1, ' []')
}

function spliceCurrentContext(text: string, document: Document, name: string): string | null {
  const value = stringify(name, STYLE).trimEnd()
  const pair = pairOf(document, 'current-context')
  if (pair === undefined) return `${endLine(text)}current-context: ${value}\n`
  const range = isNode(pair.value) ? pair.value.range : undefined
  if (range === undefined || range === null || range[0] === range[1]) return null
  return `${text.slice(0, range[0])}${value}${text.slice(range[1])}`
}

interface Pair {
  readonly value: unknown
  /** Offset of the colon behind the key. */
  readonly colon: number
}

function pairOf(document: Document, key: string): Pair | undefined {
  const root = document.contents as YAMLMap | null
  const pair = root?.items.find((candidate) => isScalar(candidate.key) && candidate.key.value === key)
  if (pair === undefined || !isScalar(pair.key) || pair.key.range === undefined || pair.key.range === null)
    return undefined
  return { value: pair.value, colon: pair.key.range[1] }
}

/** Puts the first item below a key whose value is `[]`, `null` or nothing. */
function fillEmptyList(text: string, { value, colon }: Pair, item: string): string | null {
  if (text[colon] !== ':') return null
  const range = isNode(value) ? value.range : undefined
  const valueEnd = range === undefined || range === null || range[0] === range[1] ? colon + 1 : range[1]
  const emptied = `${text.slice(0, colon + 1)}${text.slice(valueEnd)}`
  const lineBreak = emptied.indexOf('\n', colon)
  const end = lineBreak < 0 ? emptied.length : lineBreak + 1
  return splice(emptied, end, end, item)
}

/** Replaces a range that consists of whole lines. */
function splice(text: string, from: number, to: number, replacement: string): string {
  const head = text.slice(0, from)
  const tail = text.slice(to)
  const whole = replacement.endsWith('\n')
  return `${whole && head !== '' ? endLine(head) : head}${replacement}${tail}`
}

/** Where the line with an item's dash begins. */
function startOf(text: string, item: unknown, column: number): number | null {
  if (!isNode(item) || item.range === undefined || item.range === null) return null
  for (let start = lineStart(text, item.range[0]); ; start = lineStart(text, start - 1)) {
    if (text[start + column] === '-' && text.slice(start, start + column).trim() === '') return start
    if (start === 0) return null
  }
}

/** An item in block style ends with its last line break, comments behind it not included. */
function endOf(item: unknown): number | null {
  return isNode(item) && item.range !== undefined && item.range !== null ? item.range[1] : null
}

function indexOf(items: YAMLSeq, name: string): number {
  return items.items.findIndex((item) => isMap(item) && item.get('name') === name)
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1
}

function endLine(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}

/** As kubectl writes it: the content first, then the name. */
function toItem(list: KubeconfigList, name: string, entry: Fields): Fields {
  return { [KUBECONFIG_LISTS[list]]: entry, name }
}

/** kubectl reads YAML 1.1, where `no` and `12:30` are no strings unless quoted. */
const STYLE = { lineWidth: 0, indentSeq: false, compat: 'yaml-1.1' } as const

function render(value: unknown): string {
  return stringify(value, STYLE)
}

function indent(text: string, columns: number): string {
  return text.replaceAll(/^(?=.)/gm, ' '.repeat(columns))
}
