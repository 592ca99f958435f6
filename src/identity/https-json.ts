import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'

/** Most bytes of an answer that are read. */
export const MAX_ANSWER_BYTES = 1024 * 1024
/** From dialling to the last byte of the answer. */
const FETCH_TIMEOUT_MS = 10_000

export interface FetchOptions {
  /** PEM. When given, it alone is trusted. */
  readonly certificateAuthority?: string | undefined
  readonly signal: AbortSignal
  /** Token to present. */
  readonly bearer?: string
  /** What is posted, as a form or as JSON; without either the document is read. */
  readonly form?: URLSearchParams
  readonly json?: unknown
}

/** The server answered, but not with 200. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
  readonly statusCode: number

  constructor(message: string, statusCode: number) {
    super(message)
    this.statusCode = statusCode
  }
}

/** A JSON value and how long the server lets it be kept. */
export interface FetchedJson {
  readonly value: unknown
  /** `max-age` of Cache-Control; undefined when the server does not say. */
  readonly maxAgeSeconds: number | undefined
}

/** What a server answered to a form. */
export interface FormAnswer {
  readonly statusCode: number
  /** Undefined when the body is no JSON. */
  readonly value: unknown
}

/**
 * Posts a form on a connection of its own and gives back the answer, whatever its status. Redirects are not followed.
 *
 * @param authorization value of that header; empty for none.
 * @throws Error with one sentence for the operator, naming the URL.
 */
export async function postForm(
  url: URL,
  {
    certificateAuthority,
    form,
    authorization,
  }: Pick<FetchOptions, 'certificateAuthority'> & { readonly form: URLSearchParams; readonly authorization: string },
): Promise<FormAnswer> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS)
  try {
    const response = await ask(url, { certificateAuthority, form, authorization }, signal)
    try {
      const { statusCode = 0 } = response
      if (statusCode >= 300 && statusCode < 400) throw new Error('it redirects elsewhere, which is not followed')
      return { statusCode, value: parseJson(await readBody(response)) }
    } finally {
      response.destroy()
    }
  } catch (cause) {
    const reason = signal.aborted ? `no answer within ${FETCH_TIMEOUT_MS / 1000} s` : reasonOf(cause)
    throw new Error(`cannot ask ${url.href}: ${reason}`, { cause })
  }
}

/**
 * Fetches one JSON document on a connection of its own, which is closed afterwards. Redirects are not followed:
 * the document has to be where the operator or the issuer said.
 *
 * @throws Error with one sentence for the operator, naming the URL; {@link AnswerError} for an answer that is not 200.
 */
export async function fetchJson(url: URL, options: FetchOptions): Promise<FetchedJson> {
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS)
  try {
    const response = await ask(url, options, AbortSignal.any([options.signal, timeout]))
    try {
      return { value: await readJson(response), maxAgeSeconds: maxAge(response.headers['cache-control']) }
    } finally {
      response.destroy()
    }
  } catch (cause) {
    const reason = timeout.aborted ? `no answer within ${FETCH_TIMEOUT_MS / 1000} s` : reasonOf(cause)
    const message = `cannot read ${url.href}: ${reason}`
    throw cause instanceof AnswerError ? new AnswerError(message, cause.statusCode) : new Error(message, { cause })
  }
}

function ask(
  url: URL,
  {
    certificateAuthority: ca,
    bearer,
    authorization = bearer === undefined ? '' : `Bearer ${bearer}`,
    form,
    json,
  }: Omit<FetchOptions, 'signal'> & { readonly authorization?: string },
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const body = form?.toString() ?? (json === undefined ? '' : JSON.stringify(json))
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'postern',
    ...(authorization !== '' && { authorization }),
    ...(body !== '' && {
      'content-type': form === undefined ? 'application/json' : 'application/x-www-form-urlencoded',
    }),
  }
  const method = body === '' ? 'GET' : 'POST'
  request(url, { method, agent: false, ca, headers, signal }, resolve).on('error', reject).end(body)
  return promise
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const { statusCode = 0 } = response
  if (statusCode >= 300 && statusCode < 400) throw new Error('it redirects elsewhere, which is not followed')
  if (statusCode !== 200) throw new AnswerError(`it answers ${statusCode}`, statusCode)
  const value = parseJson(await readBody(response))
  if (value === undefined) throw new Error('its answer is not JSON')
  return value
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') throw new Error('its answer is compressed')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`its answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    return undefined
  }
}

/** @see RFC 9111 section 5.2.2 */
function maxAge(cacheControl: string | undefined): number | undefined {
  if (cacheControl === undefined) return undefined
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,;])/i.test(cacheControl)) return 0
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})"?(?:$|[\s,;])/i.exec(cacheControl)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed'
  // Where a host has several addresses, the error that sums up the attempts has no message.
  const { message, name, code = name } = error as NodeJS.ErrnoException
  return message === '' ? code : message
}
