/** Lines around a change that are shown too. */
const CONTEXT = 3

/**
 * What changes between two texts, at one place, the way `diff -u` shows it: lines behind ` `, `-` and `+`. Empty when
 * nothing does.
 */
export function diffLines(before: string, after: string): readonly string[] {
  if (before === after) return []
  const [old, now] = [splitLines(before), splitLines(after)]
  let head = 0
  while (head < old.length && head < now.length && old[head] === now[head]) head++
  let tail = 0
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++
  const context = Math.max(head - CONTEXT, 0)
  return [
    ...old.slice(context, head).map((line) => ` ${line}`),
    ...old.slice(head, old.length - tail).map((line) => `-${line}`),
    ...now.slice(head, now.length - tail).map((line) => `+${line}`),
    ...old.slice(old.length - tail, old.length - tail + CONTEXT).map((line) => ` ${line}`),
  ]
}

function splitLines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}
