const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS

/** From so many milliseconds on, a span is told in this unit, and in the smaller one beside it where that still matters. */
const STEPS: readonly (readonly [fromMs: number, unit: number, smaller: number | null])[] = [
  [8 * YEAR_MS, YEAR_MS, null],
  [2 * YEAR_MS, YEAR_MS, DAY_MS],
  [8 * DAY_MS, DAY_MS, null],
  [2 * DAY_MS, DAY_MS, HOUR_MS],
  [8 * HOUR_MS, HOUR_MS, null],
  [3 * HOUR_MS, HOUR_MS, MINUTE_MS],
  [10 * MINUTE_MS, MINUTE_MS, null],
  [2 * MINUTE_MS, MINUTE_MS, SECOND_MS],
]

const NAMES: ReadonlyMap<number, string> = new Map([
  [SECOND_MS, 's'],
  [MINUTE_MS, 'm'],
  [HOUR_MS, 'h'],
  [DAY_MS, 'd'],
  [YEAR_MS, 'y'],
])

/**
 * Renders a span of milliseconds as kubectl shows ages: `37s`, `4m12s`, `17m`, `5h3m`, `2d4h`. A span below zero, from
 * clocks that differ, is `0s`.
 *
 * @see k8s.io/apimachinery `pkg/util/duration/duration.go`, HumanDuration
 */
export function renderHumanDuration(spanMs: number): string {
  const span = Math.max(0, spanMs)
  const [, unit, smaller] = STEPS.find(([fromMs]) => span >= fromMs) ?? [0, SECOND_MS, null]
  const whole = count(span, unit)
  const rest = smaller === null ? 0 : Math.floor((span % unit) / smaller)
  return rest === 0 || smaller === null ? whole : `${whole}${count(rest * smaller, smaller)}`
}

function count(span: number, unit: number): string {
  return `${Math.floor(span / unit)}${NAMES.get(unit) ?? ''}`
}
