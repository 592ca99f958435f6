import { randomUUID } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlPlane } from './control-plane.ts'

const pollMs = 10
const deadlineMs = 10_000

/** An audit.k8s.io/v1 Event at level Metadata. One request has one for each of its stages. */
export interface AuditEvent {
  readonly auditID: string
  readonly stage: 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic'
  readonly verb: string
  readonly requestURI: string
  readonly user: AuditUser
  readonly impersonatedUser?: AuditUser
  readonly sourceIPs?: readonly string[]
  readonly userAgent?: string
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
    readonly apiGroup?: string
    readonly apiVersion?: string
  }
  readonly responseStatus?: { readonly code?: number; readonly reason?: string; readonly message?: string }
  readonly annotations?: Readonly<Record<string, string>>
  readonly requestReceivedTimestamp: string
  readonly stageTimestamp: string
}

/** The parts of a control plane that say where its audit log is and how to mark its end. */
export type AuditedControlPlane = Pick<ControlPlane, 'server' | 'certificateAuthority' | 'auditLog' | 'directory'>

interface AuditUser {
  readonly username?: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/**
 * What the API server itself says that it saw.
 *
 * Every stage of every request is written before the request goes on, the controllers' own included; so filter by user,
 * audit id or URI. The requests of this reader are left out.
 */
export class AuditLog {
  readonly #controlPlane: AuditedControlPlane
  readonly #markers = new Set<string>()
  #position = 0

  constructor(controlPlane: AuditedControlPlane) {
    this.#controlPlane = controlPlane
  }

  /**
   * The events since the last call, or since the start; oldest first.
   *
   * A request of our own marks the end: whatever the API server had begun to work on before the call is among them.
   */
  async read(): Promise<AuditEvent[]> {
    const marker = `marker-${randomUUID()}`
    this.#markers.add(marker)
    await this.#send(marker)
    const deadline = performance.now() + deadlineMs
    const events: AuditEvent[] = []
    while (!events.some((event) => event.auditID === marker && event.stage === 'ResponseComplete')) {
      if (performance.now() > deadline) throw new Error('the marker did not arrive in the audit log')
      events.push(...(await this.#readOn()))
      await sleep(pollMs)
    }
    return events.filter((event) => !this.#markers.has(event.auditID))
  }

  /** The complete lines that were added since the last call. */
  async #readOn(): Promise<AuditEvent[]> {
    await using file = await open(this.#controlPlane.auditLog)
    const { size } = await file.stat()
    const block = Buffer.alloc(size - this.#position)
    const { bytesRead } = await file.read(block, 0, block.length, this.#position)
    const end = block.subarray(0, bytesRead).lastIndexOf('\n') + 1
    this.#position += end
    return block
      .toString('utf8', 0, end)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditEvent)
  }

  async #send(auditId: string): Promise<void> {
    const certificates = join(this.#controlPlane.directory, 'certificates')
    const [cert, key] = await Promise.all(['crt', 'key'].map((kind) => readFile(join(certificates, `admin.${kind}`))))
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    request(`${this.#controlPlane.server}/version`, {
      ca: this.#controlPlane.certificateAuthority.pem,
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
      agent: false,
      headers: { 'audit-id': auditId },
    })
      .on('response', (response) => {
        response
          .resume()
          .on('end', () => {
            resolve(undefined)
          })
          .on('error', reject)
      })
      .on('error', reject)
      .end()
    await promise
  }
}
