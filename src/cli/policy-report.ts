import { LINT_CODES } from '../policy/lint.ts'
import type { Finding } from '../policy/lint.ts'
import { ownVersion } from './version.ts'

/** A finding or a mistake, with its place. */
export interface Report extends Pick<Finding, 'level' | 'message' | 'subject'> {
  readonly code: Finding['code'] | 'mistake'
  readonly file: string
  /** Counts from 1. */
  readonly line: number
}

/** `FILE:LINE: LEVEL: RULE: MESSAGE [CODE]`. */
export function renderText({ file, line, level, subject, message, code }: Report): string {
  return `${file}:${line}: ${level}: ${subject === '' ? '' : `${subject}: `}${message} [${code}]`
}

/**
 * A workflow command, which shows as an annotation.
 *
 * @see https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
export function renderGitHub({ file, line, level, subject, message, code }: Report): string {
  const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
  const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
  const command = level === 'note' ? 'notice' : level
  return `::${command} file=${property(file)},line=${line},title=${property(code)}::${data(subject === '' ? message : `${subject}: ${message}`)}`
}

/**
 * A log of one run.
 *
 * @see SARIF 2.1.0 (OASIS), section 3.13
 */
export function renderSarif(report: readonly Report[]): unknown {
  const rules = Object.entries({ ...LINT_CODES, mistake: 'The document is not valid.' })
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'postern',
            version: ownVersion(),
            rules: rules.map(([id, text]) => ({ id, shortDescription: { text } })),
          },
        },
        results: report.map(({ code, level, subject, message, file, line }) => ({
          ruleId: code,
          level,
          message: { text: subject === '' ? message : `${subject}: ${message}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: file.split('/').map(encodeURIComponent).join('/') },
                region: { startLine: line },
              },
            },
          ],
        })),
      },
    ],
  }
}
