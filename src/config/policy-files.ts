import { glob } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { DocumentError, MAX_DOCUMENT_BYTES } from '../document/document.ts'
import type { Mistake } from '../document/document.ts'
import { changedPaths, fileStates } from '../document/file-watch.ts'
import { readTextFile } from '../document/text-file.ts'
import { loadPolicies, readPolicyDocuments } from '../policy/policy-set.ts'
import type { PolicyFile, PolicyReader, PolicySet } from '../policy/policy-set.ts'
import type { AnchoredPath } from './surroundings.ts'

/** Files that a connector takes its policies from. */
export interface PolicyFilePattern {
  /** Absolute, without a wildcard: the directory to look into, and to watch. */
  readonly directory: string
  /** Relative to the directory; `*`, `?`, `[…]`, `{…}` and `**` as in a shell. */
  readonly glob: string
}

/** The pattern that a path with wildcards in its `rest` is. */
export function policyFilePattern({ base, rest }: AnchoredPath): PolicyFilePattern {
  const segments = rest.split('/')
  const wild = segments.findIndex((segment) => /[*?[{]/.test(segment))
  const literal = segments.slice(0, wild === -1 ? -1 : wild)
  return { directory: resolve(base, ...literal), glob: segments.slice(literal.length).join('/') }
}

/** How often files are read that change meanwhile. */
const MAX_READS = 20

/** Absolute paths that match any of the patterns, each once, in order. A directory that is missing has no files. */
export async function listPolicyFiles(patterns: readonly PolicyFilePattern[]): Promise<readonly string[]> {
  const found = new Set<string>()
  for (const pattern of patterns) {
    for await (const match of glob(pattern.glob, { cwd: pattern.directory })) found.add(join(pattern.directory, match))
  }
  return [...found].toSorted()
}

/**
 * The policies of all files that the patterns match now, whole or not at all. A pattern that has come to match nothing
 * is a mistake too: the files that are gone may have denied something.
 *
 * @param manifests patterns of further files, in which Kubernetes manifests may stand, and who reads these
 * @throws DocumentError with every mistake of every file, and the files that cannot be read.
 */
export async function loadPolicyFiles(
  patterns: readonly PolicyFilePattern[],
  manifests: PolicyManifests = { patterns: [], read: readPolicyDocuments },
): Promise<PolicySet> {
  const { files: own, mistakes } = await readPolicyFiles(patterns)
  const others = await readPolicyFiles(manifests.patterns)
  mistakes.push(...others.mistakes)
  const strict = new Set(own.map(({ file }) => file))
  const files = [...own, ...others.files.filter(({ file }) => !strict.has(file))]
  const read: PolicyReader = (file) => (strict.has(file.file) ? readPolicyDocuments(file) : manifests.read(file))
  let policies
  try {
    policies = loadPolicies(files, read)
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error
    mistakes.push(...error.mistakes)
  }
  if (policies === undefined || mistakes.length > 0) throw new DocumentError(mistakes)
  return policies
}

/** Files beside those of a connector. */
export interface PolicyManifests {
  readonly patterns: readonly PolicyFilePattern[]
  readonly read: PolicyReader
}

interface PolicyTexts {
  readonly files: readonly PolicyFile[]
  /** About what could not be read. */
  readonly mistakes: Mistake[]
}

/**
 * The texts of one state of the files: what changes while it is read, as the volume of a ConfigMap does that is swapped, is
 * read again; what keeps changing is not read.
 */
async function readPolicyFiles(patterns: readonly PolicyFilePattern[]): Promise<PolicyTexts> {
  let before = await fileStates(await listPolicyFiles(patterns))
  for (let read = 1; ; read += 1) {
    const texts = await readEach(patterns)
    const after = await fileStates(await listPolicyFiles(patterns))
    const changing = changedPaths(before, after)
    if (changing.length === 0) return texts
    if (read === MAX_READS) {
      return { files: [], mistakes: [...texts.mistakes, ...changing.map(writtenAllTheTime)] }
    }
    before = after
  }
}

/** That a file cannot be read, since it is never whole. */
export function writtenAllTheTime(path: string): Mistake {
  return unreadable(shownPath(path), 'it is being written all the time')
}

async function readEach(patterns: readonly PolicyFilePattern[]): Promise<PolicyTexts> {
  const mistakes: Mistake[] = []
  for (const pattern of patterns) {
    const path = join(pattern.directory, pattern.glob)
    if ((await listPolicyFiles([pattern])).length === 0)
      mistakes.push(unreadable(shownPath(path), 'it matches no file'))
  }
  const files: PolicyFile[] = []
  for (const path of await listPolicyFiles(patterns)) {
    const file = shownPath(path)
    try {
      files.push({ file, text: await readTextFile(path, MAX_DOCUMENT_BYTES) })
    } catch (error) {
      mistakes.push(unreadable(file, error instanceof Error ? error.message : String(error)))
    }
  }
  return { files, mistakes }
}

/** A mistake about a file as a whole. */
export function unreadable(file: string, reason: string): Mistake {
  return { file, line: 1, path: '', problem: `cannot be read: ${reason}`, expected: '' }
}

/** Relative to the working directory where it is below that, as people and editors like it. */
function shownPath(path: string): string {
  const below = relative(process.cwd(), path)
  return below.startsWith('..') ? path : below
}
