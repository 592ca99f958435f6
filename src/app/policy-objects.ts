import type { Logger } from 'pino'
import type { ConnectorConfig } from '../config/connector-config.ts'
import { PolicyObjectWatch } from '../config/policy-object-watch.ts'
import type { ReadinessCheck } from '../gateway/ops-server.ts'
import type { SocketTable } from '../gateway/socket-table.ts'
import type { PolicyObjectsStatus } from '../policy/policy-status.ts'
import { firstLine } from './first-line.ts'

/** The watch of policies that are Kubernetes objects, which the caller starts and stops; null where there are none. */
export function createPolicyObjectWatch(
  config: ConnectorConfig['policyObjects'],
  sockets: SocketTable,
  onChange: () => void,
  log: Logger,
): PolicyObjectWatch | null {
  if (config === null) return null
  const upstream = [...sockets.sockets].find(({ name }) => name === config.socket)?.upstream
  if (upstream === undefined) throw new TypeError(`there is no socket ${config.socket}`)
  return new PolicyObjectWatch({
    ...config,
    upstream,
    onChange,
    onState({ socket, known, staleSince, problem, count }) {
      if (staleSince === null) log.info({ socket, known, count }, 'policy.objects.current')
      else log.warn({ socket, known, staleSince, problem }, 'policy.objects.stale')
    },
    onRefused({ name, reason, mistakes, inForce }) {
      log.warn({ object: name, reason, mistakes, inForce }, 'policy.object.refused')
    },
    onConditionProblem(problem) {
      if (problem === '') log.info('policy.objects.conditions.written')
      else log.warn({ problem }, 'policy.objects.conditions.unwritten')
    },
  })
}

/** What `/readyz` says of them. */
export function policyObjectsCheck({ known, staleSince, problem, refused }: PolicyObjectsStatus): ReadinessCheck {
  const reasons = [
    ...(staleSince === null ? [] : [`not read since ${staleSince}: ${problem}`]),
    ...(refused.length === 0 ? [] : [`${refused.length} are not accepted as they are; the first: ${refused[0] ?? ''}`]),
  ]
  return {
    name: 'policy-objects',
    ready: known,
    reason: firstLine(reasons.join('; ')) || (known ? '' : 'not read yet'),
  }
}
