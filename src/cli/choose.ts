import { createInterface } from 'node:readline/promises'
import { ClientError } from '../client/client-error.ts'
import { printable } from './terminal.ts'

/** True when somebody can be asked: both what they type and what they see is a terminal. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** Something to choose. */
export interface Choice {
  readonly name: string
  /** Said behind the name; may be empty. */
  readonly note: string
}

/**
 * Lists the choices with numbers on stderr and asks until the answer is one: numbers, ranges and names, `1,3-5 staging`,
 * or nothing for the first; where several may be chosen also `all`, which is what nothing then means. Gives back names,
 * in the order of the list.
 *
 * @throws ClientError `BadArgument` at the end of input.
 */
export async function choose(
  question: string,
  choices: readonly Choice[],
  several: boolean,
): Promise<readonly string[]> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const width = String(choices.length).length
    for (const [index, { name, note }] of choices.entries())
      process.stderr.write(
        `  ${String(index + 1).padStart(width)}  ${printable(note === '' ? name : `${name}  (${note})`)}\n`,
      )
    // At the end of input nothing answers any more.
    const closed = new Promise<null>((resolve) =>
      terminal.once('close', () => {
        resolve(null)
      }),
    )
    const hint = several ? 'numbers such as 1,3-5, names, or all [all]' : 'a number or a name [1]'
    for (;;) {
      const answer = await Promise.race([terminal.question(`${question} ${hint}: `), closed])
      if (answer === null) throw new ClientError('BadArgument', 'nothing was chosen; name it on the command line')
      const chosen = parseChoice(
        answer,
        choices.map(({ name }) => name),
        several,
      )
      if (chosen !== null) return chosen
    }
  } finally {
    terminal.close()
  }
}

/** The names that an answer means, in their own order, or null when it means none, or several where one is asked for. */
export function parseChoice(answer: string, names: readonly string[], several: boolean): readonly string[] | null {
  const words = answer.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0) return several ? names : names.slice(0, 1)
  if (several && words.length === 1 && words[0] === 'all' && !names.includes('all')) return names
  const chosen = new Set<string>()
  for (const word of words) {
    const meant = names.includes(word) ? [word] : inRange(word, names)
    if (meant.length === 0) return null
    for (const name of meant) chosen.add(name)
  }
  return several || chosen.size === 1 ? names.filter((name) => chosen.has(name)) : null
}

/** None for what is no number or range within the list. */
function inRange(word: string, names: readonly string[]): readonly string[] {
  const [, from = '', to = from] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(word) ?? []
  const [first, last] = [Number(from), Number(to)]
  return first < 1 || last > names.length || first > last ? [] : names.slice(first - 1, last)
}
