import type { SessionFacts } from './session-facts.ts'

/** One part of the stored asciicast: 256 KiB, the last one what is left. */
export interface RecordedChunk {
  /** Bytes of the stored form. */
  readonly byteLength: number
  /** `sha256:…` of the stored form. */
  readonly hash: string
}

/** A TCP connection that a port-forward carried. */
export interface ForwardedConnection {
  readonly port: number
  readonly sentBytes: number
  readonly receivedBytes: number
  /** Milliseconds since the session's start. */
  readonly openedAtMs: number
  readonly closedAtMs: number | null
  /** What the server said on its error stream; empty when it failed not. */
  readonly error: string
}

/** A file that `kubectl cp` moved, or any tar stream that an exec carried. */
export interface CopiedFile {
  readonly direction: 'upload' | 'download'
  /** As the archive names it. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other'
  readonly byteLength: number
  /** `sha256:…`; empty for what has no content, and for a file that was cut off. */
  readonly hash: string
}

/** What a stream carried and the asciicast does not show. */
export interface ElidedBytes {
  readonly stream: 'stdin' | 'stdout' | 'stderr'
  /**
   * `binary`: no text. `archive`: a tar archive, whose entries are among the files. `input`: typed or piped in while input
   * is not recorded.
   */
  readonly kind: 'binary' | 'archive' | 'input'
  /** Offset in the stream of the first of them. */
  readonly firstByte: number
  readonly byteLength: number
  /**
   * `sha256:…` of the stream from `hashedFromByte` to its end; from its beginning unless what is elided began after a
   * mebibyte of text or an archive. Empty for an archive, whose entries have hashes of their own.
   */
  readonly hash: string
  readonly hashedFromByte: number
  /** What of an archive could not be read, one sentence; else empty. */
  readonly note: string
}

/** How a session ended. */
interface SessionOutcome {
  /** Milliseconds since the epoch. */
  readonly endedAtMs: number
  /** Of an exec that ran to its end; null when it did not, or the outcome was not told. */
  readonly exitCode: number | null
  /** What the server said went wrong, beyond an exit code; else empty. At most 1,024 characters. */
  readonly message: string
  /** Why the gateway ended it, one sentence; empty when the session's own sides did. */
  readonly endedBy: string
}

/** The account of a session beside its asciicast: `manifest.json`. */
export interface RecordingManifest {
  readonly apiVersion: 'postern.dev/v1alpha1'
  readonly kind: 'Recording'
  readonly session: SessionFacts
  /**
   * `recording` while it is under way, and after a crash until the store is opened again; `interrupted` when it was
   * cut off by a crash or a failing disk and closed afterwards, from what had been kept.
   */
  readonly state: 'recording' | 'complete' | 'interrupted'
  readonly outcome: SessionOutcome | null
  /** Why it is not whole (best-effort, or interrupted), one sentence; empty when nothing is missing. */
  readonly incomplete: string
  /** Bytes of payload for each stream of an exec or attach. */
  readonly streams: Readonly<Partial<Record<'stdin' | 'stdout' | 'stderr', number>>>
  /** At most three for each stream. */
  readonly elided: readonly ElidedBytes[]
  /** Whether what was typed is recorded, and how many characters were masked. */
  readonly input: { readonly recorded: boolean; readonly maskedCharacters: number }
  /** At most 10,000; `droppedConnections` more are told by the asciicast alone. */
  readonly connections: readonly ForwardedConnection[]
  readonly droppedConnections: number
  /** At most 10,000; `droppedFiles` more are told by the asciicast alone. */
  readonly files: readonly CopiedFile[]
  readonly droppedFiles: number
  /** How the asciicast is stored. */
  readonly encryption: 'none' | 'jwe'
  /**
   * Where the store encrypts: the session's command, the connections, the files, what is elided and the outcome's
   * message as one compact JWE; they are empty in clear then.
   */
  readonly sealed?: string
  /** In order; empty while under way. */
  readonly chunks: readonly RecordedChunk[]
}
