import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request, type RequestHandler, type Response } from 'express'
import type { Authentication, Authenticator } from '../identity/authenticator.ts'
import { failure, methodNotAllowed, notFound, StatusError } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { apiGroup, apiGroupList, apiGroupNames, apiResourceList, groupVersionPath } from './api-resources.ts'
import { renderDiscovery, type PortalIssuer, type PublicListener } from './discovery.ts'
import { renderLandingPage, styleHash } from './landing-page.ts'
import { parseObjectFormat } from './object-format.ts'
import { respond, respondWithError, securityHeaders } from './respond.ts'
import { renderSelfSubjectReview } from './self-subject-review.ts'
import { renderSocket, renderSocketList, type PortalSocket, type ReachableSocket } from './sockets.ts'

export interface PortalOptions {
  /** Origin of the portal itself. */
  readonly publicURL: string
  /** The listener that the sockets are on. */
  readonly kubernetes: PublicListener
  /** Those that people can sign in at. */
  readonly issuers: readonly PortalIssuer[]
  readonly authenticator: Authenticator
  /** The sockets of now, in the order to show. */
  readonly sockets: () => readonly PortalSocket[]
  /**
   * Short phrases for what a person may do at a socket, such as `get` or `exec in default`. Empty when that is nothing:
   * then they do not learn that the socket exists.
   */
  readonly mayReach: (subject: Subject, socket: string) => readonly string[]
  /** Told of failures (5xx), whose particulars no client sees. */
  readonly report: (error: Error) => void
}

/**
 * The portal's page and JSON API as a handler of an HTTP server: a landing page, discovery for the command line at
 * `/.well-known/postern`, and two API groups: `postern.dev` with the sockets that a person may reach, and of
 * `authentication.k8s.io` the review that tells them who they are.
 *
 * Every error is a `metav1.Status`. There are no cookies, and no request body is read.
 */
export function createPortal(options: PortalOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const page = renderLandingPage(options.publicURL)
  const discovery = renderDiscovery(options.kubernetes, options.issuers)
  const reachable = ({ subject }: Authentication): readonly ReachableSocket[] =>
    options
      .sockets()
      .map((socket) => ({ socket, access: options.mayReach(subject, socket.name) }))
      .filter(({ access }) => access.length > 0)
  const authenticated = (handle: AuthenticatedHandler): RequestHandler => {
    return async (request, response) => {
      const authentication = await options.authenticator.authenticate(request.rawHeaders)
      handle(authentication, request, response)
    }
  }

  const portal = express()
  portal.disable('x-powered-by').disable('etag')
  portal.enable('case sensitive routing').enable('strict routing')
  portal.set('query parser', false)
  portal.use(securityHeaders(styleHash))
  const route = (path: string, method: 'get' | 'post', handler: RequestHandler): void => {
    portal.route(path)[method](handler).all(refuseMethod(method))
  }

  route('/', 'get', (_request, response) => {
    response.type('html').send(page)
  })
  route('/.well-known/postern', 'get', (_request, response) => {
    respond(response, 200, discovery)
  })
  route('/apis', 'get', show(apiGroupList()))
  for (const name of apiGroupNames) {
    route(`/apis/${name}`, 'get', show(apiGroup(name)))
    route(groupVersionPath(name), 'get', show(apiResourceList(name)))
  }
  route(
    `${groupVersionPath('authentication.k8s.io')}/selfsubjectreviews`,
    'post',
    authenticated(({ subject }, _request, response) => {
      respond(response, 201, renderSelfSubjectReview(subject))
    }),
  )
  route(
    `${groupVersionPath('postern.dev')}/sockets`,
    'get',
    authenticated((authentication, request, response) => {
      const format = parseObjectFormat(request.url, request.rawHeaders)
      respond(response, 200, renderSocketList(reachable(authentication), format))
    }),
  )
  route(
    `${groupVersionPath('postern.dev')}/sockets/:name`,
    'get',
    authenticated((authentication, request, response) => {
      const format = parseObjectFormat(request.url, request.rawHeaders)
      const { name } = request.params
      const found = reachable(authentication).find(({ socket }) => socket.name === name)
      if (found === undefined) throw notFound('postern.dev', 'sockets', String(name))
      respond(response, 200, renderSocket(found, format))
    }),
  )
  portal.use(() => {
    throw new StatusError(failure(404, 'NotFound', 'the server could not find the requested resource'))
  })
  portal.use(respondWithError(options.report))
  return portal

  function show(object: unknown): RequestHandler {
    return authenticated((_authentication, _request, response) => {
      respond(response, 200, object)
    })
  }
}

type AuthenticatedHandler = (authentication: Authentication, request: Request, response: Response) => void

function refuseMethod(allowed: 'get' | 'post'): RequestHandler {
  const methods = allowed === 'get' ? 'GET, HEAD' : 'POST'
  return (_request, response) => {
    response.set('Allow', methods)
    throw methodNotAllowed(`the server allows only ${methods} on this path`)
  }
}
