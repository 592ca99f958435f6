import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../client/atomic-file.ts'
import { exportCasbin } from '../policy/casbin-export.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { readPolicies, requirePolicies, type PolicySourceFlags } from './policy-source.ts'
import { printLine } from './terminal.ts'

export interface PolicyExportFlags extends PolicySourceFlags {
  readonly casbin: string
}

const READABLE = 0o644

/** Writes policies for a Casbin of one's own. */
export async function runPolicyExport(files: readonly string[], flags: PolicyExportFlags): Promise<ExitCode> {
  requirePolicies(files, flags)
  const { set } = await readPolicies([...files, ...flags.policy], flags.config)
  const { model, policy } = exportCasbin(set)
  await mkdir(flags.casbin, { recursive: true })
  replaceFile(join(flags.casbin, 'model.conf'), model, READABLE)
  replaceFile(join(flags.casbin, 'policy.csv'), policy, READABLE)
  printLine(`model.conf and policy.csv are in ${flags.casbin}`)
  return EXIT.ok
}
