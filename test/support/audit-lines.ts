import type { AuditSink } from '../../src/audit/audit-sink.ts'

/** What of an audit event tests look at. */
interface AuditLine {
  readonly stage: string
  readonly verb: string
  readonly requestURI: string
  readonly user: { readonly username?: string }
  readonly objectRef?: { readonly resource: string; readonly name?: string; readonly subresource?: string }
  readonly responseStatus?: { readonly code: number; readonly reason?: string }
  readonly annotations: Readonly<Record<string, string>>
}

/** A sink that keeps events in memory, and can be made to take none. */
export interface MemorySink extends AuditSink {
  writable: boolean
  readonly events: AuditLine[]
}

export function createMemorySink(): MemorySink {
  const events: AuditLine[] = []
  return {
    writable: true,
    events,
    write: (line) => events.push(JSON.parse(line) as AuditLine),
    close: () => Promise.resolve(),
  }
}
