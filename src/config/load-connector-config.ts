import { dirname, resolve } from 'node:path'
import { DocumentError, MAX_DOCUMENT_BYTES, inspectDocument } from '../document/document.ts'
import type { Mistake } from '../document/document.ts'
import { readTextFile } from '../document/text-file.ts'
import { completeConfig } from './complete.ts'
import type { ConnectorConfig } from './connector-config.ts'
import { connectorSchema } from './connector-schema.ts'
import { checkAcross } from './cross-checks.ts'
import { deepFreeze } from './deep-freeze.ts'
import { checkFiles } from './file-checks.ts'
import { NamedFiles } from './named-files.ts'
import { unreadable } from './policy-files.ts'
import type { PolicyFilePattern } from './policy-files.ts'
import { checkSocketHosts } from './socket-hosts.ts'
import { ownSurroundings } from './surroundings.ts'
import type { Surroundings } from './surroundings.ts'

/** A connector document with everything that is wrong with it. */
export interface InspectedConnector {
  readonly mistakes: readonly Mistake[]
  /** What an operator should look at, though the connector starts with it. */
  readonly warnings: readonly Mistake[]
  /** Null when there are mistakes. */
  readonly config: ConnectorConfig | null
  /** Where policies are, known also when something else is wrong. Patterns that match nothing are left out. */
  readonly policies: readonly PolicyFilePattern[]
  /** Names of the sockets with `forwardAs: subject`, known also when something else is wrong. */
  readonly forwardingAsSubject: readonly string[]
}

/**
 * Reads a connector document, and the files it names, into a config that is complete and deeply frozen.
 *
 * @throws DocumentError with every mistake at once: of the text, of its values, between them, and of the files. The
 * policies themselves are not read.
 */
export async function loadConnectorConfig(
  path: string,
  surroundings: Surroundings = ownSurroundings(),
): Promise<ConnectorConfig> {
  const { config, mistakes } = await inspectConnectorConfig(path, surroundings)
  if (config === null) throw new DocumentError(mistakes)
  return config
}

/** Like {@link loadConnectorConfig}, for a caller that has more to look at before it throws. */
export async function inspectConnectorConfig(
  path: string,
  surroundings: Surroundings = ownSurroundings(),
): Promise<InspectedConnector> {
  let text
  try {
    text = await readTextFile(path, MAX_DOCUMENT_BYTES)
  } catch (error) {
    return {
      mistakes: [unreadable(path, error instanceof Error ? error.message : String(error))],
      warnings: [],
      config: null,
      policies: [],
      forwardingAsSubject: [],
    }
  }
  const document = inspectDocument(connectorSchema, text, path)
  const files = new NamedFiles(document, dirname(resolve(path)), surroundings)
  const sound = document.sound ?? {}
  checkAcross(sound, files.refuse)
  checkSocketHosts(sound, files.refuse)
  const policies = await checkFiles(sound, files, surroundings)

  const mistakes = [...document.mistakes, ...files.mistakes]
  const config =
    document.value === null || mistakes.length > 0
      ? null
      : deepFreeze(completeConfig(document.value, files, surroundings))
  const forwardingAsSubject = (sound.sockets ?? []).flatMap((socket) =>
    socket?.name !== undefined && socket.forwardAs === 'subject' ? [socket.name] : [],
  )
  return { mistakes, warnings: files.warnings, config, policies, forwardingAsSubject }
}
