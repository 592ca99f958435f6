/** How `kubectl cp --retries` reads on: `tail -c+N` begins with byte N, counted from 1. */
const RESUMED_COPY = /^tar cf - .*\| tail -c\+(\d{1,15})$/s

/**
 * Where in an archive the output of a command begins, which it does not say itself: 0 but for the retries of
 * `kubectl cp`.
 *
 * @see k8s.io/kubectl `pkg/cmd/cp/cp.go`
 */
export function archiveOffset(command: readonly string[]): number {
  const match = command[0] === 'sh' && command[1] === '-c' ? RESUMED_COPY.exec(command[2] ?? '') : null
  return Math.max(0, Number(match?.[1] ?? 0) - 1)
}
