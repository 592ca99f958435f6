import { ClientError } from '../client/client-error.ts'
import { requestInfoToAuthorize } from '../kube/session-kind.ts'
import { StatusError } from '../kube/status.ts'
import { askedRequest } from '../policy/asked-request.ts'
import type { AskedRequest } from '../policy/asked-request.ts'
import type { Decision } from '../policy/authorizer.ts'
import { cached } from '../policy/decision-cache.ts'
import { describeRequest } from '../policy/describe-request.ts'
import { explainRequest } from '../policy/explain.ts'
import type { Check, Explained } from '../policy/explain.ts'
import { explanation } from '../policy/explanation.ts'
import { WordsError } from '../policy/kubectl-words.ts'
import { missingRule } from '../policy/missing-rule.ts'
import { createAuthorizer } from '../policy/policy-authorizer.ts'
import { createLineExplainer } from '../policy/request-lines.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { answerLines } from './line-answers.ts'
import { toCaller, type CallerFlags } from './policy-caller.ts'
import { readPolicies, requirePolicies, type PolicySourceFlags } from './policy-source.ts'
import { printJSON, printLine } from './terminal.ts'

export interface PolicyExplainFlags extends PolicySourceFlags, CallerFlags, OutputFlags {
  readonly requests?: string
  readonly namespace?: string
}

/** Prints what the policies say of one request, or of every line of a file, and why. */
export async function runPolicyExplain(words: readonly string[], flags: PolicyExplainFlags): Promise<ExitCode> {
  if ((flags.requests === undefined) === (words.length === 0)) {
    throw new ClientError('BadArgument', 'name either a request, such as get pods/web -n prod, or --requests FILE')
  }
  requirePolicies([], flags)
  const source = await readPolicies(flags.policy, flags.config)
  const caller = toCaller(flags, source)
  const authorizer = cached(createAuthorizer(source.set))
  if (flags.requests !== undefined) {
    await answerLines(flags.requests, createLineExplainer(authorizer, caller))
    return EXIT.ok
  }
  const asked = parse(flags.namespace === undefined ? words : ['--namespace', flags.namespace, ...words])
  if (asked === null) return EXIT.ok
  const explained = explainRequest(authorizer, caller, asked)
  if (flags.output === 'json') printJSON(explanation(explained))
  else {
    const besides = asked.also.map((requestInfo) => explainRequest(authorizer, caller, { ...asked, requestInfo }))
    print(explained, besides)
  }
  return EXIT.ok

  /** Null for a request line that is refused, which is told. */
  function parse(given: readonly string[]): AskedRequest | null {
    try {
      return askedRequest(given)
    } catch (error) {
      if (error instanceof WordsError) throw new ClientError('BadArgument', error.message)
      if (!(error instanceof StatusError)) throw error
      if (flags.output === 'json') printJSON({ error: error.status })
      else printLine(`refused (${error.status.code} ${error.status.reason}): ${error.status.message}`)
      return null
    }
  }
}

function print({ requestInfo, decision, additional, lacking }: Explained, besides: readonly Check[]): void {
  printLine(`request:  ${describeRequest(requestInfo)}`)
  printLine(
    `decision: ${lacking === null ? verdict(decision) : `denied, since it needs ${describeRequest(lacking.requestInfo)} too`}`,
  )
  for (const { rule, location, missing } of decision.nearest) {
    printLine(`nearest:  ${rule} (${location}) lacks ${missing.join(' and ')}`)
  }
  const missing =
    decision.effect === 'no-opinion'
      ? missingRule(requestInfoToAuthorize((lacking ?? { requestInfo }).requestInfo))
      : ''
  if (missing !== '') printLine(`missing:  ${missing}`)
  for (const check of additional) printLine(`needs:    ${describeCheck(check)}`)
  for (const check of besides) printLine(`besides:  kubectl asks ${describeCheck(check)}`)
  printLine(`revision: ${decision.policyRevision}`)
}

function describeCheck({ requestInfo, decision }: Check): string {
  return `${describeRequest(requestInfo)}: ${verdict(decision)}`
}

function verdict({ effect, rule, location, reason }: Decision): string {
  return rule === '' ? `denied, ${reason}` : `${effect === 'allow' ? 'allowed' : 'denied'} by ${rule} (${location})`
}
