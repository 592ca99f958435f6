import { ClientError } from '../client/client-error.ts'
import { DocumentError, renderMistake } from '../document/document.ts'
import type { Mistake } from '../document/document.ts'
import { readTextFile } from '../document/text-file.ts'
import { lintPolicies } from '../policy/lint.ts'
import { readServedResources } from '../policy/served-resources.ts'
import type { ServedResources } from '../policy/served-resources.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { renderGitHub, renderSarif, renderText, type Report } from './policy-report.ts'
import { readPolicies, requirePolicies, type PolicySource, type PolicySourceFlags } from './policy-source.ts'
import { printJSON, printLine } from './terminal.ts'

export interface PolicyCheckFlags extends PolicySourceFlags {
  readonly output: 'text' | 'json' | 'sarif' | 'github'
  readonly discovery?: string
  readonly strict?: true
}

const MAX_DISCOVERY_BYTES = 32 * 1024 * 1024

/** Prints what is wrong with policies, or probably not meant so. */
export async function runPolicyCheck(files: readonly string[], flags: PolicyCheckFlags): Promise<ExitCode> {
  requirePolicies(files, flags)
  const served = flags.discovery === undefined ? null : await readDiscovery(flags.discovery)
  const source = await readPolicies([...files, ...flags.policy], flags.config).catch(mistakesOf)
  const report = Array.isArray(source) ? source.map(toReport) : lint(source, served)
  switch (flags.output) {
    case 'json':
      printJSON({ findings: report })
      break
    case 'sarif':
      printJSON(renderSarif(report))
      break
    case 'github':
      for (const line of report.map(renderGitHub)) printLine(line)
      break
    case 'text':
      for (const line of report.map(renderText)) printLine(line)
      if (report.length === 0) printLine('nothing is wrong')
  }
  if (Array.isArray(source)) return EXIT.configuration
  const failing = flags.strict === true ? ['error', 'warning'] : ['error']
  return report.some(({ level }) => failing.includes(level)) ? EXIT.failure : EXIT.ok
}

function lint({ set, sockets }: PolicySource, served: ServedResources | null): readonly Report[] {
  return lintPolicies(set, { nowMs: Date.now(), sockets, served }).map(({ location, ...finding }) => {
    const colon = location.lastIndexOf(':')
    return { ...finding, file: location.slice(0, colon), line: Number(location.slice(colon + 1)) }
  })
}

function mistakesOf(error: unknown): Mistake[] {
  if (error instanceof DocumentError) return [...error.mistakes]
  throw error
}

function toReport(mistake: Mistake): Report {
  const { file, line } = mistake
  const message = renderMistake(mistake).slice(`${file}:${line}: `.length)
  return { code: 'mistake', level: 'error', subject: '', message, file, line }
}

async function readDiscovery(path: string): Promise<ServedResources> {
  try {
    return readServedResources(JSON.parse(await readTextFile(path, MAX_DISCOVERY_BYTES)))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BadArgument', `--discovery ${path} cannot be used: ${why}`, { cause: error })
  }
}
