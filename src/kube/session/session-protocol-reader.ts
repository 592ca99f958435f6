import type { Status } from '../status.ts'

/** Reads one protocol. After it threw, only {@link ending} is called. */
export interface ProtocolReader {
  fromClient(chunk: Uint8Array): void
  fromUpstream(chunk: Uint8Array): void
  /** How many of the bytes from upstream come before the last place where {@link ending} may be put. */
  readonly boundary: number
  ending(status: Status): Uint8Array
}
