import { ClientError } from '../client/client-error.ts'
import { type PolicyObjectsStatus, type PolicyStatus, policyStatusSchema } from '../policy/policy-status.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { readPolicies } from './policy-source.ts'
import { printJSON, printLine } from './terminal.ts'

export interface PolicyStatusFlags extends OutputFlags {
  /** Origin of an ops listener. */
  readonly ops: string
}

const REQUEST_TIMEOUT_MS = 5_000
const MAX_BODY_BYTES = 1024 * 1024

/**
 * Prints which policy a running connector decides by, and whether it is what the files named here say. Fails when the
 * connector's own files or objects cannot be used, and when the files named here say something else.
 */
export async function runPolicyStatus(files: readonly string[], { ops, output }: PolicyStatusFlags): Promise<ExitCode> {
  const local = files.length === 0 ? null : (await readPolicies(files)).set.revision
  const status = await askForStatus(ops)
  const equal = local === null || local === status.filesRevision
  if (output === 'json') {
    printJSON({ ...status, ...(local === null ? {} : { compared: { files, revision: local, inForce: equal } }) })
  } else {
    print(status)
    if (local !== null) printLine(equal ? 'compared: these files are in force' : `compared: these files are ${local}`)
  }
  const { problems, objects } = status
  const current = objects === null || (objects.staleSince === null && objects.refused.length === 0)
  return problems.length === 0 && current && equal ? EXIT.ok : EXIT.failure
}

function print({ revision, inForceSince, policies, rules, files, problems, objects }: PolicyStatus): void {
  printLine(`revision: ${revision}`)
  printLine(`since:    ${inForceSince}`)
  printLine(`policies: ${policies}, with ${rules} rules`)
  for (const file of files) printLine(`file:     ${file}`)
  if (objects !== null) printObjects(objects)
  for (const problem of problems) printLine(`problem:  ${problem}`)
  if (problems.length > 0) printLine('The files have changed and cannot be used; the revision above stays in force.')
}

function printObjects({ socket, count, known, staleSince, problem, refused }: PolicyObjectsStatus): void {
  printLine(`objects:  ${count} in the cluster of socket ${socket}`)
  if (staleSince !== null) printLine(`stale:    since ${staleSince}: ${problem}`)
  if (!known) printLine('The objects were not read yet; nothing is let through until they are.')
  else if (staleSince !== null) printLine('The objects that were last read stay in force.')
  for (const mistakes of refused) printLine(`refused:  ${mistakes}`)
}

async function askForStatus(ops: string): Promise<PolicyStatus> {
  const url = `${ops}/policyz`
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }).catch(
    (error: unknown) => {
      throw new ClientError(
        'Unreachable',
        `no connector answers at ${ops} (${reasonOf(error)}); name its ops listener with --ops`,
        { cause: error },
      )
    },
  )
  const status = response.ok ? policyStatusSchema.safeParse(await readJSON(response)) : null
  if (status?.success === true) return status.data
  const said = response.ok ? 'something else' : String(response.status)
  throw new ClientError('Unexpected', `${url} answers ${said}; name the ops listener of a connector with --ops`)
}

/** Null for a body that is no JSON, or too long. */
async function readJSON(response: Response): Promise<unknown> {
  const body: AsyncIterable<Uint8Array> | null = response.body
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length
      if (bytes > MAX_BODY_BYTES) return null
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return null
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `no answer within ${REQUEST_TIMEOUT_MS / 1_000} s`
  const { cause } = error
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.message
}
