import { MAX_GROUPS } from './subject-name.ts'

/** Somebody is in more groups than are taken. */
export class TooManyGroups extends Error {
  override readonly name = 'TooManyGroups'
}

/**
 * Groups that a source gives: a string, or a list of strings.
 *
 * @throws Error that names the source, for anything else; {@link TooManyGroups}.
 */
export function stringList(value: unknown, source: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > MAX_GROUPS) throw new TooManyGroups(`${source} gives more than ${MAX_GROUPS} groups`)
  if (!list.every((entry) => typeof entry === 'string')) throw new Error(`${source} gives groups that are not text`)
  return Object.freeze([...list])
}
