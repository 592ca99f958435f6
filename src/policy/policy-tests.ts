import type { ForwardAs } from '../kube/impersonation.ts'
import { StatusError } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { askedRequest } from './asked-request.ts'
import type { AskedRequest } from './asked-request.ts'
import type { Decision } from './authorizer.ts'
import { DISCOVERY } from './discovery-policy.ts'
import type { Circumstance } from './conditions.ts'
import { describeRequest } from './describe-request.ts'
import { exampleSocket } from './example-socket.ts'
import { explainRequest, requiredOf } from './explain.ts'
import type { Caller, Explained } from './explain.ts'
import { WordsError, splitWords } from './kubectl-words.ts'
import { createAuthorizer } from './policy-authorizer.ts'
import type { Policy, PolicyExample, PolicySet } from './policy-set.ts'
import { createRuleMatcher } from './rule-matcher.ts'

/** How one test ended. */
interface TestResult {
  readonly policy: string
  readonly name: string
  /** `FILE:LINE`. */
  readonly location: string
  readonly request: string
  readonly expected: 'allow' | 'deny'
  readonly passed: boolean
  /** Null when the test could not be decided. */
  readonly decision: Decision | null
  /** Why it did not pass, one sentence; empty when it did. */
  readonly problem: string
}

/** How all tests of a policy set ended. */
export interface TestReport {
  readonly results: readonly TestResult[]
  /** Rules that matched the request of no test. */
  readonly untested: readonly { readonly rule: string; readonly location: string }[]
}

/**
 * Runs the tests of every document against all documents together. Without clock: a test says its own time.
 *
 * @param forwardAs what a socket does, by its name.
 */
export function runPolicyTests(
  set: PolicySet,
  forwardAs: (socket: string) => ForwardAs = () => 'connector',
): TestReport {
  const authorizer = createAuthorizer(set)
  const matcher = createRuleMatcher(set)
  const touched = new Set<string>()

  function run(policy: Policy, test: PolicyExample): TestResult {
    const { name, location, request, expect: expected } = test
    const ended = (decision: Decision | null, problem: string): TestResult => ({
      ...{ policy: policy.name, name, location, request, expected, decision, problem },
      passed: problem === '',
    })
    const asked = requestOf(test)
    if (typeof asked === 'string') return ended(null, asked)
    const caller = callerOf(policy, test)
    const { assuming, own, beside } = requiredOf(caller, asked)
    const required = [...assuming, own, ...beside]
    for (const { rule } of required.flatMap(matcher.matching)) touched.add(rule.id)
    const circumstances = new Set(required.flatMap(matcher.dependsOn))
    const open = [...circumstances].filter((circumstance) => isOpen(test, circumstance))
    if (open.length > 0)
      return ended(
        null,
        `the decision depends on ${open.map((one) => FIELDS[one]).join(' and ')}, which the test does not say`,
      )
    const explained = explainRequest(authorizer, caller, asked)
    const { decision } = explained
    return ended(decision, (decision.effect === 'allow') === (expected === 'allow') ? '' : surprise(explained))
  }

  function callerOf(policy: Policy, test: PolicyExample): Caller {
    const { user, groups, extra = {} } = test.as
    const subject: Subject = { username: user, uid: '', groups, extra }
    const socket = test.socket ?? exampleSocket(policy.sockets)
    return {
      subject,
      socket,
      sourceIP: test.sourceIP ?? '127.0.0.1',
      atMs: test.at === undefined ? 0 : Date.parse(test.at),
      forwardAs: forwardAs(socket),
    }
  }

  const results = set.policies.flatMap((policy) => policy.tests.map((test) => run(policy, test)))
  const documented = set.policies.filter((policy) => policy.name !== DISCOVERY).flatMap(({ rules }) => rules)
  return {
    results,
    untested: documented.filter(({ id }) => !touched.has(id)).map(({ id, location }) => ({ rule: id, location })),
  }
}

const FIELDS: Readonly<Record<Circumstance, string>> = {
  time: 'the time (`at`)',
  sourceIP: 'the source address (`sourceIP`)',
}

function isOpen(test: PolicyExample, circumstance: Circumstance): boolean {
  return (circumstance === 'time' ? test.at : test.sourceIP) === undefined
}

function surprise({ decision, lacking }: Explained): string {
  const {
    effect,
    reason,
    nearest: [nearest],
  } = decision
  const lack = nearest === undefined ? '' : `; ${nearest.rule} lacks ${nearest.missing.join(' and ')}`
  const since = lacking === null ? '' : `, since it needs ${describeRequest(lacking.requestInfo)} too`
  return `it is ${effect === 'allow' ? 'allowed' : 'denied'}${since}: ${reason}${lack}`
}

function requestOf({ request }: PolicyExample): AskedRequest | string {
  try {
    return askedRequest(splitWords(request))
  } catch (error) {
    if (error instanceof WordsError || error instanceof StatusError) return error.message
    throw error
  }
}
