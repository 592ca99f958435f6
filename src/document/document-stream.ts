import type { z } from 'zod'
import { inspectDocument } from './document.ts'
import type { InspectedDocument } from './document.ts'

/**
 * Reads each document of a YAML stream (`---` between them) against one schema, lines counting from the top of the file.
 * Documents that hold nothing but comments are left out, unless the file has no other. Never throws. One after the other:
 * the nodes of a document, which `lineOf` needs, are many times its text.
 */
export function* inspectDocuments<T, Input>(
  schema: z.ZodType<T, Input>,
  text: string,
  file: string,
): Generator<InspectedDocument<T, Input>, void, undefined> {
  for (const part of splitDocuments(text)) yield inspectPart(schema, part, file)
}

/** Reads one document of a stream against a schema. Never throws. */
export function inspectPart<T, Input>(
  schema: z.ZodType<T, Input>,
  { text, before }: DocumentPart,
  file: string,
): InspectedDocument<T, Input> {
  const { mistakes, lineOf, ...document } = inspectDocument(schema, text, file)
  return {
    ...document,
    mistakes: mistakes.map((mistake) => ({ ...mistake, line: mistake.line + before })),
    lineOf: (path) => lineOf(path) + before,
  }
}

const BLANK = /^(?:---|\.\.\.)?\s*(?:#.*)?$/

/** One document of a YAML stream. */
export interface DocumentPart {
  readonly text: string
  /** How many lines of the file stand before it. */
  readonly before: number
}

/**
 * The documents of a YAML stream. A line that begins with `---` ends the one before it wherever it stands (YAML 1.2.2
 * section 9.1.2). Those that hold nothing but comments are left out, unless there is no other.
 */
export function splitDocuments(text: string): readonly DocumentPart[] {
  const parts: DocumentPart[] = []
  let before = 0
  for (const part of text.split(/^(?=---(?:\s|$))/m)) {
    const lines = part.split('\n')
    if (!lines.every((line) => BLANK.test(line))) parts.push({ text: part, before })
    before += lines.length - 1
  }
  return parts.length === 0 ? [{ text, before: 0 }] : parts
}
