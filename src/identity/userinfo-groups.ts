import { fetchDiscovery } from './discovery.ts'
import type { GroupsQuestion } from './groups-question.ts'
import { fetchJson } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { claimsKeptBack } from './kept-back.ts'
import { stringList } from './string-list.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/**
 * Groups at the userinfo endpoint, shown the token that was presented. The endpoint is meant for access tokens, of which
 * the connector has none; some issuers, dex among them, take their ID tokens as well. A person without the claim in either
 * has no groups.
 *
 * @see OpenID Connect Core 1.0 section 5.3
 */
export function userinfoGroups(
  issuer: IssuerOptions,
  claim: string,
): (claims: Claims, token: string) => GroupsQuestion {
  return (claims, token) => {
    const subject = claimOf(claims, 'sub')
    const keptBack = claimsKeptBack(claims)?.has(claim) === true
    return {
      person: JSON.stringify([subject, keptBack]),
      async ask(signal) {
        const { userinfoUrl } = await fetchDiscovery(issuer, signal)
        if (userinfoUrl === undefined) throw new Error(`${issuer.url} names no userinfo_endpoint with https`)
        const { certificateAuthority } = issuer
        const { value } = await fetchJson(userinfoUrl, { certificateAuthority, signal, bearer: token })
        const answer: Claims = typeof value === 'object' && value !== null ? (value as Claims) : {}
        // Section 5.3.2: an answer about somebody else must not be used.
        if (claimOf(answer, 'sub') !== subject) throw new Error(`${userinfoUrl.href} answers for somebody else`)
        const groups = claimOf(answer, claim)
        const keptBackHere = claimsKeptBack(answer)?.has(claim) !== false
        if (keptBackHere || (groups === undefined && keptBack))
          throw new Error(`${userinfoUrl.href} leaves the groups out as well`)
        return stringList(groups ?? [], userinfoUrl.href)
      },
    }
  }
}
