import { createInterface } from 'node:readline/promises'

/** Asks on stderr; only `y` and `yes` are a yes. No answer, as at the end of input, is a no. */
export async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // At the end of input nothing answers any more.
    const closed = new Promise<string>((resolve) =>
      terminal.once('close', () => {
        resolve('')
      }),
    )
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed])
    return /^y(?:es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
