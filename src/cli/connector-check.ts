import { inspectConnector } from '../config/check-connector.ts'
import { renderMistake } from '../document/document.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { printJSON, printLine } from './terminal.ts'

export interface ConnectorCheckFlags extends OutputFlags {
  readonly config: string
}

/** Prints every mistake, one line each, `FILE:LINE: PATH: …`, and what a document without any asks to be registered elsewhere. */
export async function runConnectorCheck({ config, output }: ConnectorCheckFlags): Promise<ExitCode> {
  const { mistakes, redirectURIs } = await inspectConnector(config)
  if (output === 'json') printJSON({ mistakes, redirectURIs })
  else if (mistakes.length === 0) printLine(`${config}: nothing is wrong`)
  else for (const mistake of mistakes) printLine(renderMistake(mistake))
  if (output !== 'json')
    for (const { issuer, redirectURI } of redirectURIs)
      printLine(`redirect URI to register at ${issuer}: ${redirectURI}`)
  return mistakes.length === 0 ? EXIT.ok : EXIT.configuration
}
