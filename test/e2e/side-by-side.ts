import { expect } from 'vitest'
import type { KubectlResult } from '../../sandbox/kubectl.ts'
import { Kubectl, type KubectlInput } from './kubectl.ts'
import type { KubectlVersion } from './kubectl-versions.ts'
import type { PersonName, Surroundings } from './surroundings.ts'

export interface Expected extends KubectlInput {
  /** Of both; default 0. */
  readonly code?: number
}

/** The same kubectl twice: directly as the cluster's administrator, and through the gateway as somebody. */
export class SideBySide {
  readonly direct: Kubectl
  readonly gateway: Kubectl

  constructor(
    surroundings: Surroundings,
    version: KubectlVersion,
    { as, namespaces }: { readonly as: PersonName; readonly namespaces: readonly [direct: string, gateway: string] },
  ) {
    this.direct = new Kubectl(surroundings, version, 'direct', namespaces[0])
    this.gateway = new Kubectl(surroundings, version, as, namespaces[1])
  }

  /**
   * Runs one command on both ways, and expects the same exit code, standard output and standard error of both, but for
   * what has to differ ({@link masked}). Gives back what came through the gateway.
   */
  async same(argv: readonly string[], { code = 0, ...input }: Expected = {}): Promise<KubectlResult> {
    const [direct, gateway] = await this.both(async (kubectl) => {
      let result = await kubectl.run(argv, input)
      for (let again = 0; again < 5 && kubectl === this.direct && result.stderr === closedTooEarly; again += 1) {
        result = await kubectl.run(argv, input)
      }
      return result
    })
    expect(comparable(gateway, this.gateway), `kubectl ${argv.join(' ')}`).toEqual(comparable(direct, this.direct))
    expect(gateway.code, gateway.stderr).toBe(code)
    return gateway
  }

  /** Does the same on both ways at once. */
  both<T>(action: (kubectl: Kubectl) => Promise<T>): Promise<[direct: T, gateway: T]> {
    return Promise.all([action(this.direct), action(this.gateway)])
  }
}

function comparable({ code, stdout, stderr }: KubectlResult, { namespace }: Kubectl): KubectlResult {
  return { code, stdout: masked(stdout, namespace), stderr: masked(stderr, namespace) }
}

/** What a kubectl says now and then, directly too, when the first and empty frames of a session arrive early. */
const strayFrame = /^E\d{4} .* websocket\.go:\d+\] Unknown stream id \d+, discarding message\n/gm

/**
 * What a kubectl that asks the API server directly says for the same reason when the last frame of the session arrived early as
 * well. It is asked some times more, so that there is something to compare with.
 */
const closedTooEarly = 'error: closed all streams\n'

/** Text of kubectl without what differs from one object, moment and namespace to the next. */
export function masked(text: string, namespace: string): string {
  return text
    .replaceAll(strayFrame, '')
    .replaceAll(namespace, 'NAMESPACE')
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UID')
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, 'TIME')
    .replaceAll(/(resourceVersion"?: ?")\d+"/g, '$1VERSION"')
    .replaceAll(/\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+[smhd]\b/g, 'AGE')
    .replaceAll(/<(?:unknown|invalid)>/g, 'AGE')
    .replaceAll(/-[bcdf0-9]{7,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g, '-HASH')
    .replaceAll(/\b(?:127|10)\.\d+\.\d+\.\d+\b/g, 'ADDRESS')
    .replaceAll(/sandbox:\/\/[0-9a-f]{16,}/g, 'CONTAINER')
    .replaceAll(/ {2,}/g, '  ')
}
