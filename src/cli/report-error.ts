import { ClientError } from '../client/client-error.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { printError } from './terminal.ts'

/** Prints what went wrong as one line and gives back the exit code for it. */
export function reportError(error: unknown): ExitCode {
  printError(error instanceof Error ? error.message : String(error))
  return error instanceof ClientError && error.code === 'BadArgument' ? EXIT.usage : EXIT.failure
}
