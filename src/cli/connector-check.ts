import { checkConnector } from '../config/check-connector.ts'
import { renderMistake } from '../document/document.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { printJSON, printLine } from './terminal.ts'

export interface ConnectorCheckFlags extends OutputFlags {
  readonly config: string
}

/** Prints every mistake, one line each, `FILE:LINE: PATH: …`. */
export async function runConnectorCheck({ config, output }: ConnectorCheckFlags): Promise<ExitCode> {
  const mistakes = await checkConnector(config)
  if (output === 'json') printJSON({ mistakes })
  else if (mistakes.length === 0) printLine(`${config}: nothing is wrong`)
  else for (const mistake of mistakes) printLine(renderMistake(mistake))
  return mistakes.length === 0 ? EXIT.ok : EXIT.configuration
}
