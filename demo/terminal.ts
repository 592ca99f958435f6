const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined

/** A line of the story. */
export function line(text = ''): void {
  process.stdout.write(`${text}\n`)
}

export function heading(text: string): void {
  line()
  line(colours ? `\u001b[1m${text}\u001b[22m` : text)
}

/** A command as a person would type it. */
export function command(text: string): void {
  line()
  line(colours ? `\u001b[36m$ ${text}\u001b[39m` : `$ ${text}`)
}

/** Whether a step held, and what it shows. */
export function verdict(held: boolean, text: string): void {
  const mark = held ? 'ok' : 'FAILED'
  line(colours ? `\u001b[${held ? 32 : 31}m${mark}\u001b[39m  ${text}` : `${mark}  ${text}`)
}

export function failure(text: string): void {
  process.stderr.write(`demo: ${text}\n`)
}
