import { ClientError } from '../client/client-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { printError } from './terminal.ts'

/** Prints what went wrong as one line, each mistake of a document as one, and gives back the exit code for it. */
export function reportError(error: unknown): ExitCode {
  // By name: this runs where documents are not loaded.
  if (error instanceof Error && error.name === 'DocumentError') {
    for (const line of error.message.split('\n')) printError(line)
    return EXIT.configuration
  }
  printError(error instanceof Error ? error.message : String(error))
  return error instanceof ClientError && error.code === 'BadArgument' ? EXIT.usage : EXIT.failure
}
