import type { z } from 'zod'
import { renderPath } from './document-path.ts'
import type { DocumentPath } from './document-path.ts'
import { validate, withoutPaths } from './validation.ts'
import type { Flaw } from './validation.ts'
import { readYaml } from './yaml-tree.ts'

export { MAX_DOCUMENT_BYTES } from './yaml-tree.ts'

/** One thing wrong with a document. Renders as `FILE:LINE: PATH: PROBLEM, expected EXPECTED`. */
export interface Mistake {
  readonly file: string
  /** Counts from 1. */
  readonly line: number
  /** Such as `sockets[0].upstream.kubeconfig`; empty for the document itself. */
  readonly path: string
  readonly problem: string
  /** Empty when the problem says it all. */
  readonly expected: string
}

/** The way from a path in a document back to its text. */
export interface DocumentLines {
  readonly file: string
  /** Line of the key or list entry at `path`, counting from 1; of the nearest parent when there is none. */
  readonly lineOf: (path: DocumentPath) => number
}

/** A document that was read, with the way back to its lines. */
export interface ParsedDocument<T> extends DocumentLines {
  readonly value: T
}

/** A document with whatever is wrong with it. */
export interface InspectedDocument<T, Input> extends DocumentLines {
  /** In order of line; empty when the document is right. */
  readonly mistakes: readonly Mistake[]
  /** Null when there are mistakes. */
  readonly value: T | null
  /**
   * As written, without what is wrong: a value with a mistake is left out, an entry of a list leaves a hole. For
   * looking further (files that are named, names that repeat) although something else is wrong. Holds no defaults.
   */
  readonly sound: Sound<Input>
}

/** `T` with everything optional at every depth. */
export type Sound<T> = T extends readonly (infer Entry)[]
  ? readonly Sound<Entry>[] | undefined
  : T extends object
    ? { readonly [Key in keyof T]?: Sound<T[Key]> | undefined } | undefined
    : T | undefined

/** Everything wrong with one or more documents, in order of file and line. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError'
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    const ordered = inOrder(mistakes)
    super(ordered.map(renderMistake).join('\n'))
    this.mistakes = ordered
  }
}

/** One line without a line break. */
export function renderMistake(mistake: Mistake): string {
  const what = mistake.expected === '' ? mistake.problem : `${mistake.problem}, expected ${mistake.expected}`
  const path = mistake.path === '' ? '' : `${mistake.path}: `
  return `${mistake.file}:${mistake.line}: ${path}${what}`.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}

/** A mistake at a path of a document, for what its schema cannot know. */
export function mistakeAt(lines: DocumentLines, path: DocumentPath, problem: string, expected = ''): Mistake {
  return { file: lines.file, line: lines.lineOf(path), path: renderPath(path), problem, expected }
}

/**
 * Reads YAML text against a schema.
 *
 * One document of YAML 1.2 (core schema), at most {@link MAX_DOCUMENT_BYTES} long. A schema says what it expects with
 * `error: 'a duration such as 30s'`; a refinement states the problem as its message and what is expected as
 * `params: { expected }`.
 *
 * @throws DocumentError with every mistake at once: YAML syntax, duplicate and unknown keys, wrong values.
 */
export function parseDocument<T>(schema: z.ZodType<T>, text: string, file: string): ParsedDocument<T> {
  const { value, mistakes, lineOf } = inspectDocument(schema, text, file)
  if (value === null) throw new DocumentError(mistakes)
  return { file, value, lineOf }
}

/** Like {@link parseDocument}, for a caller that has more to look at before it throws. Never throws. */
export function inspectDocument<T, Input>(
  schema: z.ZodType<T, Input>,
  text: string,
  file: string,
): InspectedDocument<T, Input> {
  const yaml = readYaml(text)
  const lines: DocumentLines = { file, lineOf: yaml.lineOf }
  const mistakes: Mistake[] = yaml.flaws.map((flaw) => ({ ...atPath(flaw), file, line: flaw.line }))
  if (!yaml.readable) return { ...lines, mistakes: inOrder(mistakes), value: null, sound: undefined as Sound<Input> }

  const { value, flaws } = validate(schema, yaml.value)
  mistakes.push(...flaws.map((flaw) => mistakeAt(lines, flaw.path, flaw.problem, flaw.expected)))
  return {
    ...lines,
    mistakes: inOrder(mistakes),
    value: mistakes.length === 0 ? value : null,
    sound: (flaws.length === 0
      ? yaml.value
      : withoutPaths(
          yaml.value,
          flaws.filter((flaw) => !flaw.sound).map((flaw) => flaw.path),
        )) as Sound<Input>,
  }
}

function atPath({ path, problem, expected }: Flaw): Omit<Mistake, 'file' | 'line'> {
  return { path: renderPath(path), problem, expected }
}

function inOrder(mistakes: readonly Mistake[]): readonly Mistake[] {
  return mistakes.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1))
}
