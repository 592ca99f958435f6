import { DocumentError } from '../document/document.ts'
import type { Mistake } from '../document/document.ts'
import { redirectURIOf } from '../identity/authorization-server.ts'
import type { ConnectorConfig } from './connector-config.ts'
import { inspectConnectorConfig } from './load-connector-config.ts'
import { loadPolicyFiles } from './policy-files.ts'
import { ownSurroundings } from './surroundings.ts'
import type { Surroundings } from './surroundings.ts'

/** What is wrong with a document and its policies, and what has to be registered elsewhere for it to work. */
export interface CheckedConnector {
  readonly mistakes: readonly Mistake[]
  /** What an operator should look at, though the connector starts with it. */
  readonly warnings: readonly Mistake[]
  /** Of the issuers with a confidential client; empty while there are mistakes. */
  readonly redirectURIs: readonly { readonly issuer: string; readonly redirectURI: string }[]
}

/** Everything that keeps a connector from starting with this document: its own mistakes and those of its policies. */
export async function checkConnector(
  path: string,
  surroundings: Surroundings = ownSurroundings(),
): Promise<readonly Mistake[]> {
  return (await inspectConnector(path, surroundings)).mistakes
}

/** As {@link checkConnector}, with what a document without mistakes asks of others. */
export async function inspectConnector(
  path: string,
  surroundings: Surroundings = ownSurroundings(),
): Promise<CheckedConnector> {
  const { mistakes, warnings, policies, config } = await inspectConnectorConfig(path, surroundings)
  try {
    await loadPolicyFiles(policies)
    return {
      mistakes: new DocumentError(mistakes).mistakes,
      warnings,
      redirectURIs: config === null ? [] : redirectURIs(config),
    }
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error
    return { mistakes: new DocumentError([...mistakes, ...error.mistakes]).mistakes, warnings, redirectURIs: [] }
  }
}

function redirectURIs({ identity, listen }: ConnectorConfig): CheckedConnector['redirectURIs'] {
  return identity.issuers
    .filter(({ client }) => client?.confidential !== undefined)
    .map(({ url }) => ({ issuer: url, redirectURI: redirectURIOf(listen.portal.publicURL, url) }))
}
