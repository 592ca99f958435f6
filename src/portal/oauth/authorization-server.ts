import type { IncomingMessage } from 'node:http'
import type { RequestHandler, Response } from 'express'
import { authorizationServerPath, redirectURIOf } from '../../identity/authorization-server.ts'
import type { IssuerOptions } from '../../identity/issuer-options.ts'
import { renderPage } from '../landing-page.ts'
import { refuseMethods, respond } from '../respond.ts'
import { AuthorizationEndpoint, type BrowserAnswer } from './authorization-endpoint.ts'
import { IssuerClient } from './issuer-client.ts'
import type { IssuerMetadata } from './issuer-metadata.ts'
import { OAuthError } from './oauth-error.ts'
import { formParameters } from './parameters.ts'
import { TokenEndpoint } from './token-endpoint.ts'

export interface AuthorizationServersOptions {
  /** Those with a confidential client get an authorization server. */
  readonly issuers: readonly IssuerOptions[]
  /** Origin of the portal. */
  readonly publicURL: string
  /** Told what is the operator's to mend. Holds no secret and no token. */
  readonly report: (error: Error) => void
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly handle: (request: IncomingMessage, response: Response) => Promise<void>
}

/**
 * Authorization servers towards `postern client`, one for each issuer whose client is confidential: the command is a public
 * client here (RFC 8252), and the portal the confidential one there. Tokens are the issuer's own.
 *
 * No login is held in memory: what has to be known of one when its browser comes back, and when its code is traded, travels
 * sealed, so that connectors side by side need not share anything. Only that it was used is remembered, by each for itself.
 */
export function authorizationServers({ issuers, publicURL, report }: AuthorizationServersOptions): RequestHandler {
  const routes = new Map<string, Route>()
  for (const issuer of issuers) for (const [path, route] of routesOf(issuer, publicURL, report)) routes.set(path, route)
  return async (request, response, next) => {
    const route = routes.get(request.path)
    if (route === undefined) {
      next()
    } else if (request.method === route.method) {
      await route.handle(request, response)
    } else {
      await refuseMethods(route.method)(request, response, next)
    }
  }
}

function routesOf(issuer: IssuerOptions, publicURL: string, report: (error: Error) => void): [string, Route][] {
  const { client: options, url } = issuer
  if (options?.confidential === undefined) return []
  const client = new IssuerClient(issuer, options, options.confidential)
  const redirectURI = redirectURIOf(publicURL, url)
  const deviceAuthorization = options.deviceAuthorization === true
  const browsers = new AuthorizationEndpoint(client, { issuer: url, redirectURI, report })
  const tokens = new TokenEndpoint(client, { redirectURI, deviceAuthorization })
  const path = authorizationServerPath(url)

  /** Answers in JSON what `act` gives, or the error that it throws. */
  const answering =
    (act: (request: IncomingMessage) => Promise<object | undefined>): Route['handle'] =>
    async (request, response) => {
      try {
        respond(response, 200, (await act(request)) ?? {})
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
        if (error.cause instanceof Error) report(error.cause)
        // What is left of the body is not read.
        response.set('Connection', 'close')
        const description = error.description === '' ? {} : { error_description: error.description }
        respond(response, error.statusCode, { error: error.error, ...description })
      }
    }

  return [
    [
      `${path}/.well-known/openid-configuration`,
      {
        method: 'GET',
        handle: answering(async () =>
          renderMetadata(url, `${publicURL}${path}`, await client.metadata(), deviceAuthorization),
        ),
      },
    ],
    [`${path}/authorize`, { method: 'GET', handle: showing((request) => browsers.authorize(request)) }],
    [`${path}/callback`, { method: 'GET', handle: showing((request) => browsers.callback(request)) }],
    [
      `${path}/token`,
      { method: 'POST', handle: answering(async (request) => tokens.tokens(await formParameters(request))) },
    ],
    [
      `${path}/revoke`,
      {
        method: 'POST',
        handle: answering(async (request) => {
          await tokens.revoke(await formParameters(request))
          return undefined
        }),
      },
    ],
    [
      `${path}/device_authorization`,
      { method: 'POST', handle: answering(async (request) => tokens.authorizeDevice(await formParameters(request))) },
    ],
  ]
}

function showing(act: (request: IncomingMessage) => Promise<BrowserAnswer>): Route['handle'] {
  return async (request, response) => {
    const answer = await act(request)
    if (answer.kind === 'page') {
      response.status(answer.statusCode).type('html').send(renderPage(answer))
      return
    }
    if (answer.cookie !== undefined) response.set('Set-Cookie', answer.cookie)
    // Not Express's redirect, which would write the address into a page as well.
    response.status(302).set('Location', answer.location).end()
  }
}

/**
 * The issuer's metadata with the portal's endpoints in place of its own. `issuer` is the issuer itself, since the ID tokens
 * are its own.
 *
 * @see RFC 8414
 */
function renderMetadata(issuer: string, base: string, metadata: IssuerMetadata, deviceAuthorization: boolean): object {
  const { revocationEndpoint, deviceAuthorizationEndpoint, endSessionEndpoint, signingAlgorithms } = metadata
  const device = deviceAuthorization && deviceAuthorizationEndpoint !== undefined
  return {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    ...(revocationEndpoint !== undefined && { revocation_endpoint: `${base}/revoke` }),
    ...(device && { device_authorization_endpoint: `${base}/device_authorization` }),
    ...(endSessionEndpoint !== undefined && { end_session_endpoint: endSessionEndpoint.href }),
    response_types_supported: ['code'],
    grant_types_supported: [
      ...['authorization_code', 'refresh_token'],
      ...(device ? ['urn:ietf:params:oauth:grant-type:device_code'] : []),
    ],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
    authorization_response_iss_parameter_supported: true,
    ...(signingAlgorithms.length > 0 && { id_token_signing_alg_values_supported: signingAlgorithms }),
  }
}
