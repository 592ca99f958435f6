import { readFile } from 'node:fs/promises'
import { type AuditEvent, AuditLog, type AuditedControlPlane } from '../../sandbox/audit-log.ts'

/** Who the connector of the tests is at the control plane; nobody else there has this name. */
export const connectorUsername = 'postern-connector'

/** A JSON Web Token; what the API server hands out for `continue` begins so too, but is one part alone. */
const token = /eyJ[\w-]*\.[\w-]+\./
/** What a connector asks on its own behalf: whether the API server is there, and what it lets the connector do. */
const probes = ['/readyz', '/version', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews']

/** A line of a connector's trail: an event as the API server would write it, with what Postern adds. */
export type TrailEvent = AuditEvent

/** The complete lines of a connector's trail. */
export async function readTrail(path: string): Promise<TrailEvent[]> {
  const text = await readFile(path, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TrailEvent)
}

/**
 * What a connector's trail and the API server's own log hold against each other, one line each; empty is what should be.
 * The connector has ended.
 */
export async function contradictions(controlPlane: AuditedControlPlane, trailPath: string): Promise<string[]> {
  const found: string[] = []
  const completed = new Map<string, TrailEvent>()
  const seen = new Set<string>()
  for (const event of await readTrail(trailPath)) {
    seen.add(event.auditID)
    if (event.stage !== 'ResponseComplete') continue
    if (completed.has(event.auditID)) found.push(`${event.auditID} is complete twice in the trail`)
    completed.set(event.auditID, event)
  }
  for (const id of seen) if (!completed.has(id)) found.push(`${id} is never complete in the trail`)
  if (token.test(await readFile(trailPath, 'utf8'))) found.push('a token is in the trail')

  for (const event of await new AuditLog(controlPlane).read()) {
    const decision = completed.get(event.auditID)?.annotations?.['postern.dev/decision']
    const ofConnector = event.user.username === connectorUsername && !probes.includes(event.requestURI)
    if (ofConnector ? decision !== 'allow' : decision !== undefined && decision !== 'allow') {
      found.push(
        `${event.auditID} reached the API server (${event.verb} ${event.requestURI}): ${decision ?? 'unknown'}`,
      )
    }
  }
  return found
}
