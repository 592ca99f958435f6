import { type CheckedConnector, inspectConnector } from '../config/check-connector.ts'
import { renderMistake } from '../document/document.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { printJSON, printLine, printNotice } from './terminal.ts'

export interface ConnectorCheckFlags extends OutputFlags {
  readonly config: string
}

/**
 * Prints every mistake, one line each, `FILE:LINE: PATH: …`, and what a document without any asks to be registered elsewhere.
 * What the connector starts with all the same, such as a socket's certificate that has expired, is told on stderr.
 */
export async function runConnectorCheck({ config, output }: ConnectorCheckFlags): Promise<ExitCode> {
  const checked = await inspectConnector(config)
  if (output === 'json') printJSON(checked)
  else print(config, checked)
  return checked.mistakes.length === 0 ? EXIT.ok : EXIT.configuration
}

function print(config: string, { mistakes, warnings, redirectURIs }: CheckedConnector): void {
  for (const warning of warnings) printNotice(`warning: ${renderMistake(warning)}`)
  if (mistakes.length === 0) {
    printLine(`${config}: ${warnings.length === 0 ? 'nothing is wrong' : 'nothing keeps the connector from starting'}`)
  }
  for (const mistake of mistakes) printLine(renderMistake(mistake))
  for (const { issuer, redirectURI } of redirectURIs) {
    printLine(`redirect URI to register at ${issuer}: ${redirectURI}`)
  }
}
