import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import { apiGroup, apiGroupList, apiResourceList, groupVersionPath } from './api-resources.ts'
import { renderDiscovery, type PortalIssuer, type PublicListener } from './discovery.ts'
import { renderLandingPage, styleHash } from './landing-page.ts'
import { posternGroup, type PosternGroupOptions } from './postern-group.ts'
import { notServed, refuseMethods, respond, respondWithError, securityHeaders } from './respond.ts'
import { renderSelfSubjectReview } from './self-subject-review.ts'

export interface PortalOptions extends PosternGroupOptions {
  /** Origin of the portal itself. */
  readonly publicURL: string
  /** The listener that the sockets are on. Its authority is asked for at each answer. */
  readonly kubernetes: PublicListener
  /** Those that people can sign in at. */
  readonly issuers: readonly PortalIssuer[]
  /** Told of failures (5xx), whose particulars no client sees. */
  readonly report: (error: Error) => void
}

/**
 * The portal's page and JSON API as a handler of an HTTP server: a landing page, discovery for the command line at
 * `/.well-known/postern`, and two API groups: `postern.dev` with our own objects, and of `authentication.k8s.io` the
 * review that tells people who they are.
 *
 * Every error is a `metav1.Status`. There are no cookies, and no request body is read.
 */
export function createPortal(options: PortalOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const page = renderLandingPage(options.publicURL)

  const portal = express()
  portal.disable('x-powered-by').disable('etag')
  portal.enable('case sensitive routing').enable('strict routing')
  portal.set('query parser', false)
  portal.use(securityHeaders(styleHash))
  portal
    .route('/')
    .get((_request, response) => {
      response.type('html').send(page)
    })
    .all(refuseMethods('GET, HEAD'))
  portal
    .route('/.well-known/postern')
    .get((_request, response) => {
      respond(response, 200, renderDiscovery(options.kubernetes, options.issuers))
    })
    .all(refuseMethods('GET, HEAD'))

  const show = (path: string, object: unknown): void => {
    portal
      .route(path)
      .get(async (request, response) => {
        await options.authenticator.authenticate(request.rawHeaders)
        respond(response, 200, object)
      })
      .all(refuseMethods('GET, HEAD'))
  }
  const reviews = groupVersionPath('authentication.k8s.io')
  show('/apis', apiGroupList())
  show('/apis/authentication.k8s.io', apiGroup('authentication.k8s.io'))
  show(reviews, apiResourceList('authentication.k8s.io'))
  portal
    .route(`${reviews}/selfsubjectreviews`)
    .post(async (request, response) => {
      const { subject } = await options.authenticator.authenticate(request.rawHeaders)
      respond(response, 201, renderSelfSubjectReview(subject))
    })
    .all(refuseMethods('POST'))

  portal.use('/apis/postern.dev', posternGroup(options))
  portal.use(notServed)
  portal.use(respondWithError(options.report))
  return portal
}
