import type { z } from 'zod'

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

/** A document that was read, with the way back to its lines. */
export interface ParsedDocument<T> {
  readonly file: string
  readonly value: T
  /** Line of the value at `path`, counting from 1; of the nearest parent when there is none. */
  lineOf(path: readonly PropertyKey[]): number
}

/** Everything wrong with one or more documents, in order of file and line. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError'
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(renderMistake).join('\n'))
    this.mistakes = mistakes
  }
}

/** One line without a line break. */
export function renderMistake(mistake: Mistake): string {
  const what = mistake.expected === '' ? mistake.problem : `${mistake.problem}, expected ${mistake.expected}`
  const path = mistake.path === '' ? '' : `${mistake.path}: `
  return `${mistake.file}:${mistake.line}: ${path}${what}`
}

/**
 * Reads YAML text against a schema.
 *
 * @throws DocumentError with every mistake at once: YAML syntax, duplicate and unknown keys, wrong values.
 */
export declare function parseDocument<T>(schema: z.ZodType<T>, text: string, file: string): ParsedDocument<T>
