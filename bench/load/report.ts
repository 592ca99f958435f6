import { type LoadFigures, type RequestSummary, quantile } from '../../test/support/load-figures.ts'

export const HEADINGS = ['a second', 'failed', 'p50 ms', 'p99 ms', 'longest ms']

export function cellsOf({ rate, failed, p50Ms, p99Ms, longestMs }: RequestSummary): string[] {
  return [rate.toFixed(1), String(failed), ...[p50Ms, p99Ms, longestMs].map((value) => value.toFixed(0))]
}

/** Prints rows below headings, the first column to the left and the others to the right. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  for (const row of [headings, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(cells.join('  '))
  }
}

/** What became of the load as a whole, and everything that went wrong. */
export function printWhole(
  figures: LoadFigures,
  created: ReadonlyMap<string, number>,
  asked: { readonly watches: number; readonly sessions: number },
): void {
  const { requests, unsent, retried, failures, told, watches, sessions } = figures
  const once = figures.created.filter((name) => created.get(name) === 1).length
  const more = [...created.values()].filter((times) => times > 1).length
  console.log(
    `\nplain requests  ${requests} sent, ${unsent} not sent for the machine's sake, ${retried} sent again, ${failures.length} failed`,
  )
  console.log(
    `writes          ${figures.created.length} confirmed, ${once} of them done once, ${more} done more than once`,
  )
  console.log(
    `watches         ${asked.watches} open, ${watches.endedCleanly} ended cleanly, ${watches.brokenOff.length} broken off, ${watches.events} events, ${watches.lost} lost`,
  )
  if (watches.absencesMs.length > 0) {
    const sorted = watches.absencesMs.toSorted((a, b) => a - b)
    const [half, most, longest] = [0.5, 0.99, 1].map((share) => quantile(sorted, share).toFixed(0))
    console.log(`                open again after p50 ${half} ms, p99 ${most} ms, longest ${longest} ms`)
  }
  console.log(
    `sessions        ${asked.sessions} open, ${sessions.endings.length} ended, ${sessions.echoes} keystrokes, ${sessions.lost} lost`,
  )
  for (const [ending, times] of counted(sessions.endings.map(({ what }) => what.replace(/ \(audit id .*$/, ''))))
    console.log(`                ${times} x ${ending}`)
  console.log(`told            ${told.connectionClose} Connection: close, ${told.goaway} GOAWAY`)
  for (const [what, times] of counted([...failures, ...watches.brokenOff].map((event) => event.what)))
    console.log(`WRONG           ${times} x ${what}`)
}

function counted(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}
