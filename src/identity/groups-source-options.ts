import type { Secret } from '../document/secret.ts'

/** Where groups are that a token leaves out. */
export type GroupsSourceOptions =
  | {
      /**
       * The issuer's userinfo endpoint, with the token that was presented: for issuers that take it there. Asked whenever
       * a token has no groups.
       */
      readonly kind: 'userinfo'
    }
  | {
      /** `getMemberObjects` of Microsoft Graph. Asked when the issuer says that it kept the groups back. */
      readonly kind: 'graph'
      /** `https`; the path that `/users/ID/getMemberObjects` is added to. */
      readonly url: string
      /** PEM. When given, it alone is trusted for `url`. */
      readonly certificateAuthority?: string
      /** Claim that names the person there. */
      readonly memberClaim: string
      /** Whether groups that are for mail alone are left out, as they are in tokens. */
      readonly securityEnabledOnly: boolean
      /** What the connector is at the issuer's token endpoint, by the client credentials grant (RFC 6749 section 4.4). */
      readonly credentials: { readonly clientID: string; readonly clientSecret: Secret; readonly scope: string }
    }
