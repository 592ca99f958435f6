import { isAbsolute, parse } from 'node:path'
import { homeDirectory } from '../document/home-directory.ts'

/** What a document is read in: the machine, apart from its files. */
export interface Surroundings {
  /** Absolute; what `~` stands for. The root directory for somebody without one. */
  readonly home: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Milliseconds since the epoch; certificates have to be valid then. */
  readonly nowMs: number
  /**
   * Why a file at an absolute path is not there for whoever runs the connector, as one phrase; empty when it is. Absent when
   * nothing is hidden.
   */
  readonly whyHidden?: (path: string) => string
}

/** Those of this process, now. */
export function ownSurroundings(): Surroundings {
  return { home: homeDirectory(), environment: process.env, nowMs: Date.now() }
}

/** A path as a document has it: what it is relative to, absolute, and the rest. */
export interface AnchoredPath {
  readonly base: string
  readonly rest: string
}

/** What a document in `directory` means by a path: `~/` is the home directory, the rest is relative to `directory`. */
export function anchorPath(written: string, directory: string, home: string): AnchoredPath {
  if (/^~(?:\/|$)/.test(written)) return { base: home, rest: written.slice(2) }
  return isAbsolute(written)
    ? { base: parse(written).root, rest: written.slice(1) }
    : { base: directory, rest: written }
}
