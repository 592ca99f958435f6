import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { badRequest, failure, internalError, methodNotAllowed, renderStatus, StatusError } from '../kube/status.ts'

/**
 * Headers of every answer: nothing of ours is framed, sniffed, cached or told to others, and pages load nothing.
 * `styleHash` is the CSP source of the only style there is.
 */
export function securityHeaders(styleHash: string): RequestHandler {
  const headers = {
    'Content-Security-Policy': `default-src 'none'; style-src '${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  }
  return (_request, response, next) => {
    response.set(headers)
    next()
  }
}

/** Answers with an object of an API. */
export function respond(response: Response, statusCode: number, object: unknown): void {
  send(response, statusCode, Buffer.from(`${JSON.stringify(object)}\n`))
}

/**
 * What a DELETE that did its work answers.
 *
 * @param message what else it did; empty when nothing.
 * @see k8s.io/apiserver `pkg/endpoints/handlers/delete.go`
 */
export function deleted(resource: string, name: string, message = ''): unknown {
  const details = { name, group: 'postern.dev', kind: resource }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(message !== '' && { message }),
    details,
  }
}

/** Sends JSON under the media type that Kubernetes gives it, which has no parameter; Express would add one. */
function send(response: Response, statusCode: number, json: Buffer): void {
  response.status(statusCode).setHeader('Content-Type', 'application/json').send(json)
}

/** Refuses a path that nothing is served at. */
export const notServed: RequestHandler = () => {
  throw new StatusError(failure(404, 'NotFound', 'the server could not find the requested resource'))
}

/** Refuses what the handlers before it did not take. `allowed` is the value of Allow. */
export function refuseMethods(allowed: string): RequestHandler {
  return (_request, response) => {
    response.set('Allow', allowed)
    throw methodNotAllowed(`the server allows only ${allowed} on this path`)
  }
}

/** Renders whatever a handler threw as a Status. `report` is told of all but plain refusals. */
export function respondWithError(report: (error: Error) => void): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const { status } = toStatusError(error)
    if (status.code >= 500) report(error instanceof Error ? error : new Error(String(error)))
    if (response.headersSent) {
      next(error)
      return
    }
    if (status.code === 401) response.set('WWW-Authenticate', 'Bearer realm="postern"')
    if (request.method === 'POST' || request.method === 'DELETE') response.set('Connection', 'close')
    send(response, status.code, renderStatus(status))
  }
}

/** What a thrown value tells the client. What is no `StatusError` is a bug, and is told as a 500 without particulars. */
export function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error
  // Express throws it for a path whose escapes are malformed.
  if (error instanceof URIError) return badRequest('the path holds a malformed escape')
  return internalError('the portal failed to handle the request', { cause: error })
}
