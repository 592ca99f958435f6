import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Alias, Document, Node, Pair, YAMLError } from 'yaml'
import type { DocumentPath } from './document-path.ts'
import type { Flaw } from './validation.ts'

/** The longest document that is read, in bytes of UTF-8. */
export const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
/** The deepest nesting that is read: a value in the root has depth 1. */
const MAX_DEPTH = 64
/** How many values aliases (`*name`) may repeat in one document, all together. */
const MAX_ALIASED_VALUES = 10_000

const CORE_TAG = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/

/** Something wrong with the text itself. */
interface YamlFlaw extends Flaw {
  /** Counts from 1. */
  readonly line: number
}

/** YAML text as plain values: null, booleans, numbers, strings, arrays, and objects without a prototype. */
export interface YamlTree {
  readonly value: unknown
  readonly flaws: readonly YamlFlaw[]
  /** False when the text is so broken that `value` says nothing. */
  readonly readable: boolean
  /** Line of the key or list entry at `path`, counting from 1; of the nearest parent when there is none. */
  readonly lineOf: (path: DocumentPath) => number
}

/**
 * Reads the one document of a YAML 1.2 text. Never throws.
 *
 * Narrower than YAML in what has surprised people: no directives, no tags beyond the core schema's, no keys but
 * plain ones, no key twice (`1` and `"1"` are the same), no alias within what it names.
 */
export function readYaml(text: string): YamlTree {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    return unreadable([{ ...flaw([], `is longer than ${MAX_DOCUMENT_BYTES} bytes`), line: 1 }])
  }
  const counter = new LineCounter()
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: false,
    keepSourceTokens: false,
  })
  const lineAt = (offset: number): number => Math.max(1, counter.linePos(offset).line)
  const syntax = syntaxFlaws(document, lineAt)
  if (syntax.length > 0) return unreadable(syntax)

  const tree = new PlainValues(lineAt)
  const value = tree.of(document.contents, [], false)
  return {
    value,
    flaws: tree.flaws,
    readable: true,
    lineOf: (path) => lineAt(tree.offsetOf(document.contents, path)),
  }
}

function unreadable(flaws: readonly YamlFlaw[]): YamlTree {
  return { value: null, flaws, readable: false, lineOf: () => 1 }
}

function flaw(path: DocumentPath, problem: string, expected = ''): Flaw {
  return { path, problem, expected, sound: false }
}

/** One a line, the first: what follows is mostly its consequence. */
function syntaxFlaws(document: Document.Parsed, lineAt: (offset: number) => number): YamlFlaw[] {
  const byLine = new Map<number, YamlFlaw>()
  const add = (offset: number, problem: string, expected = ''): void => {
    const line = lineAt(offset)
    if (!byLine.has(line)) byLine.set(line, { ...flaw([], problem, expected), line })
  }
  for (const error of [...document.errors, ...document.warnings]) {
    if (error.code !== 'TAG_RESOLVE_FAILED') add(error.pos[0], syntaxProblem(error))
  }
  if (document.directives.yaml.explicit) add(0, 'begins with a %YAML directive', 'YAML 1.2 without directives')
  return [...byLine.values()]
}

function syntaxProblem(error: YAMLError): string {
  switch (error.code) {
    case 'MULTIPLE_DOCS':
      return 'a second document begins here, expected one document in a file'
    case 'RESOURCE_EXHAUSTION':
      return `is nested deeper than ${MAX_DEPTH}`
    default:
      return `is not YAML: ${error.message}`
  }
}

type Contents = Node | null

/** Walks the nodes of one document. */
class PlainValues {
  readonly flaws: YamlFlaw[] = []
  readonly #lineAt: (offset: number) => number
  /** What each anchor stands for at this point of the text. A later anchor of the same name takes its place. */
  readonly #anchors = new Map<string, Node>()
  readonly #targets = new Map<Alias, Node>()
  readonly #open = new Set<Node>()
  #aliasedValues = 0

  constructor(lineAt: (offset: number) => number) {
    this.#lineAt = lineAt
  }

  /** The value of a node. `aliased` when it was reached through an alias, and so was seen before. */
  of(node: Contents, path: DocumentPath, aliased: boolean): unknown {
    if (node === null) return null
    if (aliased && ++this.#aliasedValues > MAX_ALIASED_VALUES) {
      if (this.#aliasedValues === MAX_ALIASED_VALUES + 1) {
        this.#refuse(node, path, `aliases repeat more than ${MAX_ALIASED_VALUES} values`)
      }
      return null
    }
    if (path.length > MAX_DEPTH) return this.#refuse(node, path, `is nested deeper than ${MAX_DEPTH}`)
    if (isAlias(node)) return this.#behind(node, path)
    if (node.tag !== undefined && !CORE_TAG.test(node.tag)) {
      return this.#refuse(node, path, `has the tag ${node.tag}`, 'a plain value')
    }
    if (!aliased && node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    this.#open.add(node)
    const value = this.#plain(node, path, aliased)
    this.#open.delete(node)
    return value
  }

  #plain(node: Exclude<Node, Alias>, path: DocumentPath, aliased: boolean): unknown {
    if (isScalar(node)) return node.value
    if (isSeq<Contents>(node)) return node.items.map((item, index) => this.of(item, [...path, index], aliased))
    const object = Object.create(null) as Record<string, unknown>
    for (const pair of node.items as Pair<Contents, Contents>[]) {
      const key = keyOf(pair)
      const at = pair.key ?? node
      if (key === null || key === '__proto__') this.#refuse(at, path, 'has a key that is not a plain word')
      else if (!(key in object)) object[key] = this.of(pair.value, [...path, key], aliased)
      else if (!aliased) this.#refuse(at, [...path, key], 'stands here a second time')
    }
    return object
  }

  #behind(alias: Alias, path: DocumentPath): unknown {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source)
    if (target === undefined) return this.#refuse(alias, path, `no anchor &${alias.source} stands before this alias`)
    if (this.#open.has(target)) return this.#refuse(alias, path, `*${alias.source} stands within what it names`)
    this.#targets.set(alias, target)
    return this.of(target, path, true)
  }

  #refuse(node: Node, path: DocumentPath, problem: string, expected = ''): null {
    this.flaws.push({ ...flaw(path, problem, expected), line: this.#lineAt(node.range?.[0] ?? 0) })
    return null
  }

  offsetOf(root: Contents, path: DocumentPath): number {
    let node = this.#resolve(root)
    let offset = node?.range?.[0] ?? 0
    for (const step of path) {
      let next: Contents | undefined
      let at: Contents | undefined
      if (isMap<Contents, Contents>(node)) {
        const pair = node.items.find((item) => keyOf(item) === String(step))
        next = pair?.value
        at = pair?.key
      } else if (isSeq<Contents>(node) && typeof step === 'number') {
        next = at = node.items[step]
      }
      if (at === undefined) return offset
      offset = at?.range?.[0] ?? offset
      node = this.#resolve(next ?? null)
    }
    return offset
  }

  #resolve(node: Contents): Contents {
    return isAlias(node) ? (this.#targets.get(node) ?? null) : node
  }
}

/** Null for a key that is a list, an object, an alias or nothing. */
function keyOf(pair: Pair<Contents, Contents>): string | null {
  const key = isScalar(pair.key) ? pair.key.value : null
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' ? String(key) : null
}
