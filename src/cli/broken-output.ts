import { EXIT } from './exit-code.ts'

/**
 * Ends the process when nobody reads what it prints any more, as behind `| head`: like a program that SIGPIPE ends, and
 * not with an error. Whoever listens to the stream for that too goes first.
 */
export function endWithReaders(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
      if (output.listenerCount('error') > 1) return
      if (code === 'EPIPE') process.exit(EXIT.brokenPipe)
      if (output === process.stdout) process.stderr.write(`postern: cannot write to standard output: ${code}\n`)
      process.exit(EXIT.failure)
    })
  }
}
