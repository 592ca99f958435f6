/** An issuer that people can sign in at with the command line, as a public client. */
export interface PortalIssuer {
  readonly url: string
  readonly clientID: string
  readonly scopes: readonly string[]
  /** Path of the loopback redirect URI where the issuer knows a fixed one; empty to let each login take a path of its own. */
  readonly redirectPath: string
  /** PEM of a private authority; empty when the authorities of people's machines do. */
  readonly certificateAuthority: string
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
    issuers: issuers.map(({ url, clientID, scopes, redirectPath, certificateAuthority }) => ({
      url,
      clientID,
      scopes,
      ...(redirectPath !== '' && { redirectPath }),
      ...authorityData(certificateAuthority),
    })),
  }
}

/** A PEM the way kubeconfigs carry it; no field when there is none. */
export function authorityData(pem: string): { readonly certificateAuthorityData?: string } {
  return pem === '' ? {} : { certificateAuthorityData: Buffer.from(pem).toString('base64') }
}
