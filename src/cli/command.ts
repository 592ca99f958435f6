import type { Command } from 'commander'
import type { ExitCode } from './exit-code.ts'

/** Makes the action of a command from a function that gives back the exit code. */
export type Act = <Args extends unknown[]>(
  run: (...args: Args) => ExitCode | Promise<ExitCode>,
) => (...args: Args) => Promise<void>

/** Adds examples, one command line each, to the help of a command. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  return command.addHelpText('after', ['', 'Examples:', ...examples.map((line) => `  ${line}`)].join('\n'))
}
