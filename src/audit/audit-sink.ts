/** Where events go, one line each. */
export interface AuditSink {
  /** False while lines cannot be kept: more than the bound is waiting, or the last write failed. */
  readonly writable: boolean
  /** Queues one line, its line feed included. Lines of requests under way are taken even when not writable. */
  write(line: string): void
  /** Writes what is queued, and resolves when it is on disk. The sink takes no lines after that. */
  close(): Promise<void>
}
