import { runPolicyTests } from '../policy/policy-tests.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { readPolicies, requirePolicies, type PolicySourceFlags } from './policy-source.ts'
import { printJSON, printLine } from './terminal.ts'

export interface PolicyTestFlags extends PolicySourceFlags, OutputFlags {}

/** Runs the tests that policies have; fails when one does, and when there is none. */
export async function runPolicyTest(files: readonly string[], flags: PolicyTestFlags): Promise<ExitCode> {
  requirePolicies(files, flags)
  const { set, forwardAs } = await readPolicies([...files, ...flags.policy], flags.config)
  const { results, untested } = runPolicyTests(set, forwardAs)
  const failed = results.filter(({ passed }) => !passed)
  if (flags.output === 'json') {
    const tests = results.map(({ decision, ...result }) => ({
      ...result,
      effect: decision?.effect ?? null,
      rule: decision?.rule ?? null,
    }))
    printJSON({ passed: results.length - failed.length, failed: failed.length, tests, untested })
  } else {
    for (const { policy, name, location, problem } of failed) printLine(`${location}: ${policy}: ${name}: ${problem}`)
    for (const { rule, location } of untested) printLine(`${location}: no test touches rule ${rule}`)
    if (results.length === 0) printLine('there are no tests')
    else
      printLine(
        `${results.length - failed.length} passed, ${failed.length} failed, ${untested.length} rules without a test`,
      )
  }
  return failed.length > 0 || results.length === 0 ? EXIT.failure : EXIT.ok
}
