import { quote } from '../kube/quote.ts'
import { ClientCredentials } from './client-credentials.ts'
import type { GroupsQuestion } from './groups-question.ts'
import type { GroupsSourceOptions } from './groups-source-options.ts'
import { AnswerError, fetchJson } from './https-json.ts'
import type { IssuerOptions } from './issuer-options.ts'
import { refusal } from './refusal.ts'
import { stringList } from './string-list.ts'
import { MAX_GROUPS } from './subject-name.ts'
import { type Claims, claimOf } from './unverified-token.ts'

/** Most pages of one answer that are read. */
const MAX_PAGES = 20

type GraphOptions = Extract<GroupsSourceOptions, { readonly kind: 'graph' }>

/**
 * The groups that a person is in, through others as well, as Microsoft Graph tells them: by their ids, which is what Entra
 * ID puts into tokens. The address that a token gives in `_claim_sources` is not followed.
 *
 * @see https://learn.microsoft.com/graph/api/directoryobject-getmemberobjects
 */
export function graphGroups(
  issuer: IssuerOptions,
  options: GraphOptions,
  clock: () => number,
): (claims: Claims) => GroupsQuestion {
  const credentials = new ClientCredentials(issuer, options.credentials, clock)
  return (claims) => {
    const member = claimOf(claims, options.memberClaim)
    if (typeof member !== 'string' || !/^[\w.@-]{1,128}$/.test(member) || /^\.+$/.test(member)) {
      throw refusal(`your groups cannot be looked up: the token has no usable ${quote(options.memberClaim)} claim`)
    }
    return { person: member, ask: (signal) => memberObjects(member, options, credentials, signal) }
  }
}

async function memberObjects(
  member: string,
  { url, certificateAuthority, securityEnabledOnly }: GraphOptions,
  credentials: ClientCredentials,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const first = new URL(`${url.replace(/\/$/, '')}/users/${encodeURIComponent(member)}/getMemberObjects`)
  const bearer = await credentials.token(signal)
  const groups: unknown[] = []
  let json: unknown = { securityEnabledOnly }
  let next: URL | null = first
  try {
    for (let page = 0; next !== null; page += 1) {
      if (page === MAX_PAGES) throw new Error(`${first.href} has more than ${MAX_PAGES} pages`)
      const { value } = await fetchJson(next, {
        certificateAuthority,
        signal,
        bearer,
        ...(json !== undefined && { json }),
      })
      const { value: entries, '@odata.nextLink': link } = value as Readonly<Record<string, unknown>>
      if (!Array.isArray(entries)) throw new Error(`${first.href} gives no list`)
      groups.push(...(entries as readonly unknown[]))
      if (groups.length > MAX_GROUPS) break
      json = undefined
      next = typeof link === 'string' ? nextPage(link, first) : null
    }
  } catch (error) {
    if (error instanceof AnswerError && error.statusCode === 401) credentials.forget()
    throw error
  }
  if (groups.length === 0) throw new Error(`${first.href} gives no groups of somebody who has too many for a token`)
  return stringList(groups, first.href)
}

/** The token goes nowhere else. */
function nextPage(link: string, first: URL): URL {
  const url = URL.parse(link)
  if (url?.origin !== first.origin) throw new Error(`${first.href} continues elsewhere, which is not followed`)
  return url
}
