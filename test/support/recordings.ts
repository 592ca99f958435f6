import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import type { SessionFacts } from '../../src/audit/recording/session-facts.ts'

/** The manifest of an exec that has just begun. */
export function newManifest(session: Partial<SessionFacts> = {}): RecordingManifest {
  return {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Recording',
    session: {
      id: randomUUID(),
      kind: 'exec',
      socket: 'production',
      namespace: 'default',
      pod: 'web-0',
      container: '',
      command: ['sh', '-c', 'a secret command'],
      tty: true,
      stdin: true,
      protocol: 'websocket',
      subprotocol: 'v5.channel.k8s.io',
      username: 'ana@example.com',
      groups: ['payments-dev'],
      impersonatedUsername: '',
      sourceIP: '192.0.2.7',
      userAgent: 'kubectl/v1.36.0',
      auditId: randomUUID(),
      rule: 'payments-developers#1',
      policyRevision: 'sha256:00',
      record: 'required',
      startedAtMs: Date.now(),
      ...session,
    },
    state: 'recording',
    outcome: null,
    incomplete: '',
    streams: {},
    input: { recorded: false, maskedCharacters: 0 },
    connections: [],
    droppedConnections: 0,
    files: [],
    droppedFiles: 0,
    elided: [],
    encryption: 'none',
    chunks: [],
  }
}

/** The same at the session's end. */
export function finishedManifest(manifest: RecordingManifest): RecordingManifest {
  return {
    ...manifest,
    state: 'complete',
    outcome: { endedAtMs: Date.now(), exitCode: 0, endedBy: '', message: 'a secret message' },
    files: [
      { direction: 'upload', path: 'a-secret-file', type: 'file', byteLength: 3, hash: `sha256:${'0'.repeat(64)}` },
    ],
  }
}

/** Everything that a stream tells, as text; empty for null. */
export async function textOf(stream: Readable | null): Promise<string> {
  const blocks: Buffer[] = []
  for await (const block of stream ?? []) blocks.push(block as Buffer)
  return Buffer.concat(blocks).toString()
}
