import { DocumentError } from '../document/document.ts'
import type { Mistake } from '../document/document.ts'
import { inspectConnectorConfig } from './load-connector-config.ts'
import { loadPolicyFiles } from './policy-files.ts'
import { ownSurroundings } from './surroundings.ts'
import type { Surroundings } from './surroundings.ts'

/** Everything that keeps a connector from starting with this document: its own mistakes and those of its policies. */
export async function checkConnector(
  path: string,
  surroundings: Surroundings = ownSurroundings(),
): Promise<readonly Mistake[]> {
  const { mistakes, policies } = await inspectConnectorConfig(path, surroundings)
  try {
    await loadPolicyFiles(policies)
    return new DocumentError(mistakes).mistakes
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error
    return new DocumentError([...mistakes, ...error.mistakes]).mistakes
  }
}
