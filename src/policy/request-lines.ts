import { badRequest } from '../kube/status.ts'
import { MAX_TARGET_BYTES } from '../kube/target.ts'
import type { Authorizer, Decision } from './authorizer.ts'
import { explainRequestLine } from './explain.ts'
import type { Caller } from './explain.ts'
import { explanation, shownDecision } from './explanation.ts'

/** Longest line that is read, in UTF-16 units: the longest target with every character escaped, and what stands around it. */
export const MAX_LINE_LENGTH = 8 * MAX_TARGET_BYTES

/** Answers one JSON line `{"method": …, "target": …}` with another, without a line break. */
export type AnswerLine = (line: string) => string

/**
 * Explains request after request for one caller. Each answer has the shape of {@link Explanation}, or
 * `{ "error": <metav1.Status> }` for a request that is refused and for a line that is none. Never throws for what a line
 * says.
 */
export function createLineExplainer(authorizer: Authorizer, caller: Caller): AnswerLine {
  /** What a decision looks like; an authorizer that remembers decisions hands out the same ones again. */
  const rendered = new WeakMap<Decision, string>()
  const render = (decision: Decision): string => {
    let text = rendered.get(decision)
    if (text === undefined) rendered.set(decision, (text = JSON.stringify(shownDecision(decision))))
    return text
  }
  return (line) => {
    const asked = parseLine(line)
    if (asked === null) return NOT_A_REQUEST
    const explained = explainRequestLine(authorizer, caller, asked.method, asked.target)
    if ('error' in explained) return JSON.stringify({ error: explained.error })
    if (explained.additional.length > 0) return JSON.stringify(explanation(explained))
    return `{"requestInfo":${JSON.stringify(explained.requestInfo)},"decision":${render(explained.decision)}}`
  }
}

const NOT_A_REQUEST = JSON.stringify({ error: badRequest('the line is not {"method": …, "target": …}').status })

function parseLine(line: string): { readonly method: string; readonly target: string } | null {
  if (line.length > MAX_LINE_LENGTH) return null
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null || !('method' in value) || !('target' in value)) return null
  const { method, target } = value
  return typeof method === 'string' && typeof target === 'string' ? { method, target } : null
}
