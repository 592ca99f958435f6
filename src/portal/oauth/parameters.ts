import type { IncomingMessage } from 'node:http'
import { OAuthError } from './oauth-error.ts'

/** Bounds of what is read, in characters and bytes. An issuer's code may take kilobytes. */
const MAX_QUERY_LENGTH = 8 * 1024
const MAX_FORM_BYTES = 16 * 1024

/** Parameters by name. One without a value counts as left out (RFC 6749 section 3.1). */
export type Parameters = ReadonlyMap<string, string>

/** @throws OAuthError `invalid_request` for a query that is too long, or has a parameter twice. */
export function queryParameters(target: string): Parameters {
  const at = target.indexOf('?')
  const query = at === -1 ? '' : target.slice(at + 1)
  if (query.length > MAX_QUERY_LENGTH) throw new OAuthError('invalid_request', 'the request is too long')
  return readParameters(query)
}

/**
 * Reads the form that a request posts.
 *
 * @throws OAuthError `invalid_request` for another media type, a body that is too long, or a parameter that is there twice.
 */
export async function formParameters(request: IncomingMessage): Promise<Parameters> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/x-www-form-urlencoded')
    throw new OAuthError('invalid_request', 'the body is no form', { statusCode: 415 })
  return readParameters((await readBody(request)).toString('utf8'))
}

/** Leaves the connection be when the body is too long, so that the answer can tell. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_FORM_BYTES) break
      chunks.push(chunk)
    }
  } catch {
    throw new OAuthError('invalid_request', 'the body broke off')
  }
  if (bytes > MAX_FORM_BYTES) throw new OAuthError('invalid_request', 'the form is too long', { statusCode: 413 })
  return Buffer.concat(chunks)
}

function readParameters(text: string): Parameters {
  const parameters = new Map<string, string>()
  const names = new Set<string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (names.has(name)) throw new OAuthError('invalid_request', 'a parameter is there twice')
    names.add(name)
    if (value !== '') parameters.set(name, value)
  }
  return parameters
}

/** @throws OAuthError `invalid_request` for a value that is missing or of another shape. */
export function required(parameters: Parameters, name: string, shape: RegExp): string {
  const value = parameters.get(name) ?? ''
  if (!shape.test(value)) throw new OAuthError('invalid_request', `${name} is missing, or none that is taken here`)
  return value
}
