import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { inspectConnectorConfig } from '../config/load-connector-config.ts'
import { loadPolicyFiles, policyFilePattern } from '../config/policy-files.ts'
import type { PolicyFilePattern } from '../config/policy-files.ts'
import { anchorPath, ownSurroundings } from '../config/surroundings.ts'
import { ClientError } from '../client/client-error.ts'
import { DocumentError } from '../document/document.ts'
import type { ForwardAs } from '../kube/impersonation.ts'
import { policyManifestReader } from '../policy/policy-manifests.ts'
import type { PolicySet } from '../policy/policy-set.ts'

/** Flags of every command that reads policies. */
export interface PolicySourceFlags {
  readonly policy: readonly string[]
  readonly config?: string
}

/** Policies, and what is known of where they are in force. */
export interface PolicySource {
  readonly set: PolicySet
  /** Names of the connector's sockets; null when there is no connector document, or it has mistakes. */
  readonly sockets: readonly string[] | null
  /** What a socket does, by its name; that of the default for one that is not known. */
  readonly forwardAs: (socket: string) => ForwardAs
  /** Empty when none is known. */
  readonly defaultSocket: string
}

/**
 * Reads the policies of files, directories and shell patterns, manifests of policies that are Kubernetes objects among
 * them, and of a connector document. None at all leave what is built in.
 *
 * @throws DocumentError
 */
export async function readPolicies(paths: readonly string[], config?: string): Promise<PolicySource> {
  const patterns: PolicyFilePattern[] = []
  for (const path of paths) patterns.push(await patternOf(path))
  if (config === undefined) {
    const set = await loadPolicyFiles([], { patterns, read: policyManifestReader(null) })
    return { set, sockets: null, forwardAs: () => 'connector', defaultSocket: '' }
  }
  const connector = await inspectConnectorConfig(config)
  if (connector.policies.length === 0 && connector.mistakes.length > 0) throw new DocumentError(connector.mistakes)
  const sockets = connector.config?.sockets.map(({ name }) => name) ?? null
  const [onlySocket = ''] = sockets?.length === 1 ? sockets : []
  return {
    set: await loadPolicyFiles(connector.policies, {
      patterns,
      read: policyManifestReader(connector.config?.policyObjects?.socket ?? null),
    }),
    sockets,
    forwardAs: (socket) => (connector.forwardingAsSubject.includes(socket) ? 'subject' : 'connector'),
    defaultSocket: connector.config?.defaultSocket ?? onlySocket,
  }
}

async function patternOf(path: string): Promise<PolicyFilePattern> {
  const entry = await stat(path).catch(() => null)
  const pattern = entry?.isDirectory() === true ? join(path, '*.{yaml,yml}') : path
  return policyFilePattern(anchorPath(pattern, process.cwd(), ownSurroundings().home))
}

/** @throws ClientError `BadArgument` when no policies are named at all. */
export function requirePolicies(files: readonly string[], { policy, config }: PolicySourceFlags): void {
  if (files.length === 0 && policy.length === 0 && config === undefined) {
    throw new ClientError('BadArgument', 'name the policies: with --policy FILE, or --config FILE')
  }
}
