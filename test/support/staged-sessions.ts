import { Readable } from 'node:stream'
import type { RecordingManifest } from '../../src/audit/recording/recording-manifest.ts'
import type { RecordingStore } from '../../src/audit/recording-store/recording-store.ts'
import type { SessionFacts } from '../../src/audit/recording/session-facts.ts'
import type { PortalSession, PortalSessions } from '../../src/portal/portal-session.ts'
import { finishedManifest, newManifest } from './recordings.ts'

/** What is known of an exec of ana's in payments/web on production. */
export function factsOf(overrides: Partial<SessionFacts> = {}): SessionFacts {
  const startedAtMs = Date.now() - 60_000
  return newManifest({ namespace: 'payments', pod: 'web', command: ['bash', '-l'], startedAtMs, ...overrides }).session
}

/** A session that does what a test says. */
export interface StagedSession extends PortalSession {
  /** Why it was ended, once for each time. */
  readonly endings: readonly string[]
  /** How many follow it now. */
  readonly followers: number
  /** Tells the followers a line, which gets its newline here. */
  emit(line: string): void
  /** Tells the followers that it is over. */
  finish(): void
}

export function stageSession(overrides: Partial<SessionFacts> = {}): StagedSession {
  const facts = factsOf(overrides)
  const listeners = new Set<(line: string | null) => void>()
  const endings: string[] = []
  const recorded = facts.record !== 'off'
  return {
    facts,
    lastActivityAtMs: facts.startedAtMs + 30_000,
    sentBytes: 12,
    receivedBytes: 3456,
    recorded,
    endings,
    get followers() {
      return listeners.size
    },
    end: (reason) => endings.push(reason),
    follow(listener) {
      if (!recorded) return null
      listeners.add(listener)
      listener(`${JSON.stringify({ version: 2, width: 80, height: 24 })}\n`)
      return () => listeners.delete(listener)
    },
    emit(line) {
      for (const listener of [...listeners]) listener(`${line}\n`)
    },
    finish() {
      for (const listener of [...listeners]) listener(null)
    },
  }
}

/** A registry of sessions that a test fills. */
export function stageSessions(): PortalSessions & { readonly all: StagedSession[] } {
  const all: StagedSession[] = []
  return { all, list: () => all, find: (id) => all.find(({ facts }) => facts.id === id) }
}

/** What is kept of a session that is over. */
export function manifestOf(session: SessionFacts, overrides: Partial<RecordingManifest> = {}): RecordingManifest {
  return { ...finishedManifest(newManifest(session)), ...overrides }
}

/** A store that keeps recordings in memory. */
export interface MemoryStore extends RecordingStore {
  readonly kept: Map<string, { readonly manifest: RecordingManifest; readonly cast: () => Readable }>
  /** Adds a recording. */
  keep(manifest: RecordingManifest, cast?: string | (() => Readable)): void
}

export function createMemoryStore(): MemoryStore {
  const kept: MemoryStore['kept'] = new Map()
  return {
    kept,
    keep(manifest, cast = '{"version":2,"width":80,"height":24}\n') {
      kept.set(manifest.session.id, {
        manifest,
        cast: typeof cast === 'string' ? () => Readable.from([Buffer.from(cast)]) : cast,
      })
    },
    writable: true,
    create: () => Promise.reject(new Error('this store only shows')),
    list: () => Promise.resolve([...kept.values()].map(({ manifest }) => manifest)),
    manifest: (id) => Promise.resolve(kept.get(id)?.manifest ?? null),
    read: (id) => Promise.resolve(kept.get(id)?.cast() ?? null),
    remove: (id) => Promise.resolve(kept.delete(id)),
    close: () => Promise.resolve(),
  }
}
