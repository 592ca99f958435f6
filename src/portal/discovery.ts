import type { SignInFlows } from '../identity/issuer-options.ts'

/** An issuer that people can sign in at with the command line. */
export interface PortalIssuer {
  readonly url: string
  readonly clientID: string
  readonly scopes: readonly string[]
  /** PEM of a private authority; empty when the authorities of people's machines do. */
  readonly certificateAuthority: string
  readonly flows: SignInFlows
  /**
   * URL of what takes the issuer's place towards people's machines, where its client has a secret; its metadata is at
   * `/.well-known/openid-configuration` below. Absent where they ask the issuer itself, as a public client.
   */
  readonly authorizationServer?: string
}

/** Where a listener is for people. */
export interface PublicListener {
  /** Origin. */
  readonly publicURL: string
  /** PEM of a private authority; empty when the authorities of people's machines do. */
  readonly certificateAuthority: string
}

/** Renders what everybody may know: where the sockets are and where to sign in. */
export function renderDiscovery(kubernetes: PublicListener, issuers: readonly PortalIssuer[]): unknown {
  return {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Discovery',
    kubernetes: { publicURL: kubernetes.publicURL, ...authorityData(kubernetes.certificateAuthority) },
    issuers: issuers.map(({ url, clientID, scopes, flows, certificateAuthority, authorizationServer }) => ({
      url,
      clientID,
      scopes,
      ...(flows.deviceAuthorization === true && { deviceAuthorization: true }),
      ...(flows.redirectHost !== undefined &&
        flows.redirectHost !== '127.0.0.1' && { redirectHost: flows.redirectHost }),
      ...(flows.redirectPath !== undefined && { redirectPath: flows.redirectPath }),
      ...(flows.redirectPorts !== undefined && { redirectPorts: flows.redirectPorts }),
      ...(authorizationServer !== undefined && { authorizationServer }),
      ...authorityData(certificateAuthority),
    })),
  }
}

/** A PEM the way kubeconfigs carry it; no field when there is none. */
export function authorityData(pem: string): { readonly certificateAuthorityData?: string } {
  return pem === '' ? {} : { certificateAuthorityData: Buffer.from(pem).toString('base64') }
}
