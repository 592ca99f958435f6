/** Names longer than this are not compared, in characters. */
const MAX_LENGTH = 64

/**
 * The one of `names` that was probably meant, or null: equal but for case, `-` and `_`, or at most a third of the
 * letters away (Damerau-Levenshtein, optimal string alignment).
 */
export function nearestName(written: unknown, names: readonly unknown[]): string | null {
  if (typeof written !== 'string' || written.length > MAX_LENGTH) return null
  const candidates = names
    .filter((name) => typeof name === 'string')
    .map((name) => ({ name, distance: distance(folded(written), folded(name)) }))
    .filter((candidate) => candidate.distance <= Math.min(3, Math.floor(candidate.name.length / 3)))
  return candidates.toSorted((a, b) => a.distance - b.distance)[0]?.name ?? null
}

function folded(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '')
}

function distance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? Infinity) + 1 : Infinity,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return last[to.length] ?? 0
}
