import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import type { BackChannelLogout } from '../identity/logins/back-channel-logout.ts'
import type { IssuerOptions } from '../identity/issuer-options.ts'
import { apiGroup, apiGroupList, apiResourceList, groupVersionPath } from './api-resources.ts'
import { BACK_CHANNEL_LOGOUT_PATH, backChannelLogoutHandlers } from './back-channel-logout.ts'
import { renderDiscovery, type PortalIssuer, type PublicListener } from './discovery.ts'
import { renderLandingPage, styleHash } from './landing-page.ts'
import { authorizationServers } from './oauth/authorization-server.ts'
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
  /** All of the connector's. The portal speaks for people to those that it has a secret for. */
  readonly identity: readonly IssuerOptions[]
  /** Ends logins that an issuer says have ended; null when none is asked to. */
  readonly backChannelLogout: BackChannelLogout | null
  /** Told of failures (5xx), whose particulars no client sees. */
  readonly report: (error: Error) => void
}

/**
 * The portal's page and JSON API as a handler of an HTTP server: a landing page, discovery for the command line at
 * `/.well-known/postern`, and two API groups: `postern.dev` with our own objects, and of `authentication.k8s.io` the
 * review that tells people who they are. Under `/oauth/` it is an authorization server to the command line, for
 * issuers whose client has a secret.
 *
 * Every error is a `metav1.Status`, except of back-channel logouts and under `/oauth/`, which are OAuth's and not
 * Kubernetes'; no other request body is read. The one cookie, of `/oauth/`, signs nobody in.
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

  if (options.backChannelLogout !== null) {
    const handlers = backChannelLogoutHandlers(options.backChannelLogout, options)
    portal
      .route(BACK_CHANNEL_LOGOUT_PATH)
      .post(...handlers)
      .all(refuseMethods('POST'))
  }
  portal.use('/apis/postern.dev', posternGroup(options))
  portal.use(authorizationServers({ issuers: options.identity, publicURL: options.publicURL, report: options.report }))
  portal.use(notServed)
  portal.use(respondWithError(options.report))
  return portal
}
