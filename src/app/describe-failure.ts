import { StatusError } from '../kube/status.ts'

/** What the operator's log says of a failure, which the client is not told. */
export function describeFailure(error: unknown): { readonly error: string; readonly stack?: string } {
  if (error instanceof StatusError)
    return { error: error.detail === '' ? error.message : `${error.message}: ${error.detail}` }
  return error instanceof Error ? { error: error.message, stack: error.stack ?? '' } : { error: String(error) }
}
