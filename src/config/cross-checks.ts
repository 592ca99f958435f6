import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import { parseListenAddress } from '../document/listen-address.ts'
import { nearestName } from '../document/nearest-name.ts'
import { oneOf } from '../document/wording.ts'
import { authorizationServerPath } from '../identity/authorization-server.ts'
import { clashOf, machineNames, type NameClash, prefixesOf, shareNames } from '../identity/name-prefixes.ts'
import { trustsUnverifiedEmail } from '../identity/subject-rules.ts'
import type { ConnectorInput } from './connector-schema.ts'
import { DEFAULT_ADDRESSES } from './listen-schema.ts'

/** Notes a mistake at a path. */
export type Refuse = (at: DocumentPath, problem: string, expected?: string) => void
type SoundConnector = NonNullable<Sound<ConnectorInput>>

/** What must hold between the parts of a connector document, checked on as much of it as is sound. */
export function checkAcross(document: SoundConnector, refuse: Refuse): void {
  checkListeners(document.listen, refuse)
  document.identity?.issuers?.forEach((issuer, index) => {
    checkIssuer(issuer, ['identity', 'issuers', index], refuse)
  })
  checkMachines(document, refuse)
  checkDistinct(issuerURLs(document), 'the URL of', refuse)
  checkDistinct(authorizationServers(document), 'the address at the portal of', refuse)
  checkDistinct(socketNames(document), 'the name of', refuse)
  checkDistinct(socketHosts(document), 'a host of', refuse)
  checkSocketExists(document.defaultSocket, ['defaultSocket'], document, refuse)
  checkSocketExists(document.policyObjects?.socket, ['policyObjects', 'socket'], document, refuse)
  checkRecording(document, refuse)
}

interface Placed {
  readonly at: DocumentPath
  readonly value: string
  /** What has the value, as in `sockets[0]`. */
  readonly owner: string
}

function checkDistinct(values: readonly Placed[], relation: string, refuse: Refuse): void {
  const owners = new Map<string, string>()
  for (const { at, value, owner } of values) {
    const first = owners.get(value)
    if (first === undefined) owners.set(value, owner)
    else refuse(at, first === owner ? `"${value}" stands here twice` : `"${value}" is ${relation} ${first} already`)
  }
}

function issuerURLs({ identity }: SoundConnector): Placed[] {
  return (identity?.issuers ?? []).flatMap((issuer, index) =>
    placed(issuer?.issuer?.url, ['identity', 'issuers', index, 'issuer', 'url'], `identity.issuers[${index}]`),
  )
}

/** Those that differ in no more than a slash at their end, or in the case of their host, would share one. */
function authorizationServers({ identity }: SoundConnector): Placed[] {
  return (identity?.issuers ?? []).flatMap((issuer, index) => {
    const url = issuer?.issuer?.url
    if (issuer?.client?.secret === undefined || url === undefined) return []
    return placed(
      authorizationServerPath(url),
      ['identity', 'issuers', index, 'issuer', 'url'],
      `identity.issuers[${index}]`,
    )
  })
}

function socketNames({ sockets }: SoundConnector): Placed[] {
  return (sockets ?? []).flatMap((socket, index) =>
    placed(socket?.name, ['sockets', index, 'name'], `sockets[${index}]`),
  )
}

function socketHosts({ sockets }: SoundConnector): Placed[] {
  return (sockets ?? []).flatMap((socket, index) =>
    (socket?.hosts ?? []).flatMap((host, entry) =>
      placed(host, ['sockets', index, 'hosts', entry], `sockets[${index}]`),
    ),
  )
}

function placed(value: string | undefined, at: DocumentPath, owner: string): Placed[] {
  return value === undefined ? [] : [{ at, value, owner }]
}

function checkSocketExists(
  wanted: string | undefined,
  at: DocumentPath,
  document: SoundConnector,
  refuse: Refuse,
): void {
  const names = socketNames(document).map(({ value }) => value)
  const known = document.sockets !== undefined && names.length === document.sockets.length
  if (wanted === undefined || !known || names.includes(wanted)) return
  const meant = nearestName(wanted, names)
  if (meant === null) refuse(at, `there is no socket "${wanted}"`, oneOf(names))
  else refuse(at, `there is no socket "${wanted}", did you mean "${meant}"?`)
}

function checkRecording({ sockets, recordings }: SoundConnector, refuse: Refuse): void {
  if (recordings !== undefined) return
  sockets?.forEach((socket, index) => {
    const sessions = socket?.recording?.sessions
    if (sessions === undefined || sessions === 'off') return
    refuse(['sockets', index, 'recording', 'sessions'], `is "${sessions}", and no \`recordings\` says where they go`)
  })
}

const LISTENERS = ['kubernetes', 'portal', 'ops'] as const

function checkListeners(listen: SoundConnector['listen'], refuse: Refuse): void {
  const taken: { readonly name: string; readonly host: string; readonly port: number }[] = []
  for (const name of LISTENERS) {
    const address = parseListenAddress(listen?.[name]?.address ?? DEFAULT_ADDRESSES[name])
    if (address === null || address.port === 0) continue
    const other = taken.find(({ host, port }) => port === address.port && overlap(host, address.host))
    if (other !== undefined) refuse(['listen', name, 'address'], `is the address of listen.${other.name} too`)
    taken.push({ name, ...address })
  }
  const origins = [listen?.kubernetes?.publicURL, listen?.portal?.publicURL].map((url) => URL.parse(url ?? '')?.origin)
  if (origins[0] !== undefined && origins[0] === origins[1]) {
    const problem = 'is the origin of listen.kubernetes too; browsers have to tell the two apart'
    refuse(['listen', 'portal', 'publicURL'], problem, 'another host or port')
  }
}

function overlap(a: string, b: string): boolean {
  const everywhere = ['', '0.0.0.0', '::']
  return a === b || everywhere.includes(a) || everywhere.includes(b)
}

type SoundIssuer = NonNullable<NonNullable<SoundConnector['identity']>['issuers']>[number]

function checkIssuer(entry: SoundIssuer, at: DocumentPath, refuse: Refuse): void {
  const { issuer, client, claimMappings } = entry ?? {}
  const audiences = (issuer?.audiences ?? []).flatMap((value, index) =>
    placed(value, [...at, 'issuer', 'audiences', index], 'this issuer'),
  )
  checkDistinct(audiences, 'an audience of', refuse)
  if (audiences.length > 1 && issuer?.audienceMatchPolicy === undefined) {
    refuse([...at, 'issuer', 'audienceMatchPolicy'], 'is missing', '"MatchAny", since there are several audiences')
  }
  if (issuer?.discoveryURL !== undefined && issuer.discoveryURL === issuer.url) {
    refuse([...at, 'issuer', 'discoveryURL'], 'is the same as url', 'another URL, or nothing here')
  }
  const known = audiences.map(({ value }) => value)
  if (client?.id !== undefined && known.length > 0 && !known.includes(client.id)) {
    refuse(
      [...at, 'client', 'id'],
      `tokens for "${client.id}" are not accepted`,
      `${oneOf(known)}, as issuer.audiences says`,
    )
  }
  if (client?.scopes !== undefined && !client.scopes.includes('openid')) {
    refuse([...at, 'client', 'scopes'], 'do not ask for an ID token', 'openid among them')
  }
  checkConfidential(client, [...at, 'client'], refuse)
  const keys = (claimMappings?.extra ?? []).flatMap((extra, index) =>
    placed(extra?.key, [...at, 'claimMappings', 'extra', index, 'key'], 'this issuer'),
  )
  checkDistinct(keys, 'an extra key of', refuse)
  checkEmail(entry, at, refuse)
}

/** With a secret the portal is what the issuer sends browsers to, so that addresses of laptops mean nothing to it. */
function checkConfidential(client: NonNullable<SoundIssuer>['client'], at: DocumentPath, refuse: Refuse): void {
  const written: Readonly<Record<string, unknown>> = client ?? {}
  const [which, problem] =
    written['secret'] === undefined
      ? [CONFIDENTIAL_KEYS, 'is for a client with a `secret`, and this one has none']
      : [PUBLIC_KEYS, 'is for a client without a `secret`: with one, the issuer sends browsers to the portal']
  for (const key of which) if (written[key] !== undefined) refuse([...at, key], problem, 'nothing here')
}

const CONFIDENTIAL_KEYS = ['tokenEndpointAuthMethod', 'authorizationParameters']
const PUBLIC_KEYS = ['redirectHost', 'redirectPath', 'redirectPorts']

/** A token must belong to one cluster, and no two kinds of machines may be called alike. */
function checkMachines(document: SoundConnector, refuse: Refuse): void {
  const { serviceAccounts = [], clientCertificates } = document.identity ?? {}
  const names = socketNames(document).map(({ value }) => value)
  const known = document.sockets !== undefined && names.length === document.sockets.length
  const clusters = serviceAccounts.map((cluster, index) => {
    const at: DocumentPath = ['identity', 'serviceAccounts', index]
    return { cluster, at, owner: `serviceAccounts[${index}]` }
  })
  for (const { cluster, at } of clusters) {
    if (cluster?.socket === undefined || !known || names.includes(cluster.socket)) continue
    refuse([...at, 'socket'], `there is no socket "${cluster.socket}"`, oneOf(names))
  }
  const audiences = clusters.flatMap(({ cluster, at, owner }) =>
    (cluster?.audiences ?? []).flatMap((value, index) => placed(value, [...at, 'audiences', index], owner)),
  )
  checkDistinct(audiences, 'an audience of', refuse)
  const prefixes = [
    ...clusters.flatMap(({ cluster, at, owner }) => placed(cluster?.prefix, [...at, 'prefix'], owner)),
    ...placed(clientCertificates?.prefix, ['identity', 'clientCertificates', 'prefix'], 'clientCertificates'),
  ]
  checkDistinct(prefixes, 'the prefix of', refuse)
  checkNames(document.identity, refuse)
}

/** Names of issuers must not be those of machines, nor those of another issuer unless it names the same people. */
function checkNames(identity: SoundConnector['identity'], refuse: Refuse): void {
  const { issuers = [], serviceAccounts = [], clientCertificates } = identity ?? {}
  const machines = [
    ...serviceAccounts.map((cluster, index) => ({ prefix: cluster?.prefix, owner: `serviceAccounts[${index}]` })),
    { prefix: clientCertificates?.prefix, owner: 'clientCertificates' },
  ].flatMap(({ prefix, owner }) => (prefix ? [{ names: machineNames(prefix), owner: `identity.${owner}` }] : []))
  const known = issuers.map((issuer, index) => {
    const { username, groups } = issuer?.claimMappings ?? {}
    return {
      at: ['identity', 'issuers', index] as const,
      owner: `identity.issuers[${index}]`,
      url: issuer?.issuer?.url ?? '',
      sharesNamesWith: (issuer?.sharesNamesWith ?? []).filter((url) => url !== undefined),
      names: { username: soundPrefixes(username), groups: soundPrefixes(groups) },
      mappings: { username, groups },
    }
  })
  for (const [index, issuer] of known.entries()) {
    const refuseNames = ({ mapping }: NameClash, problem: string, expected?: string): void => {
      const key = 'expression' in (issuer.mappings[mapping] ?? {}) ? 'expression' : 'prefix'
      refuse([...issuer.at, 'claimMappings', mapping, key], problem, expected)
    }
    for (const { names, owner } of machines) {
      const clash = clashOf(issuer.names, names)
      if (clash !== null) refuseNames(clash, `${beginning(clash)}, which ${owner} keeps for machines`)
    }
    for (const other of known.slice(0, index)) {
      const clash = shareNames(issuer, other) ? null : clashOf(issuer.names, other.names)
      if (clash === null) continue
      const expected = `a prefix of its own, or sharesNamesWith: [${other.url}] when both name the same people`
      refuseNames(clash, likeThoseOf(other.owner, clash), expected)
    }
    const others = known.filter(({ url }) => url !== '' && url !== issuer.url).map(({ url }) => url)
    for (const [entry, url] of issuer.sharesNamesWith.entries()) {
      if (others.includes(url)) continue
      refuse([...issuer.at, 'sharesNamesWith', entry], `there is no other issuer "${url}"`, oneOf(others))
    }
    const shared = issuer.sharesNamesWith.flatMap((url, entry) =>
      placed(url, [...issuer.at, 'sharesNamesWith', entry], 'this issuer'),
    )
    checkDistinct(shared, 'shared by', refuse)
  }
}

/** As far as a mapping is sound. */
function soundPrefixes(mapping: object | undefined): readonly string[] {
  const { claim, prefix, expression } = (mapping ?? {}) as Readonly<Record<string, string | undefined>>
  if (claim !== undefined && prefix !== undefined) return prefixesOf({ claim, prefix })
  return expression === undefined ? [] : prefixesOf({ expression })
}

function beginning({ prefix, taken }: NameClash): string {
  return prefix.startsWith(taken) ? `begins with "${taken}"` : `"${prefix}" is what "${taken}" begins with`
}

function likeThoseOf(owner: string, clash: NameClash): string {
  const { prefix, taken } = clash
  if (prefix === '') return `may make any name, and ${owner} may too`
  if (prefix === taken) return `"${prefix}" is what names of ${owner} begin with`
  return prefix.startsWith(taken)
    ? `${beginning(clash)}, as names of ${owner} do`
    : `${beginning(clash)}, and names of ${owner} with that`
}

function checkEmail(entry: SoundIssuer, at: DocumentPath, refuse: Refuse): void {
  const username = expressionIn(entry?.claimMappings?.username)
  const others = [...(entry?.claimValidationRules ?? []), ...(entry?.claimMappings?.extra ?? [])].map(expressionIn)
  if (
    username === undefined ||
    !trustsUnverifiedEmail(
      username,
      others.filter((text) => text !== undefined),
    )
  )
    return
  const problem = 'reads claims.email, and nothing reads claims.email_verified'
  refuse(
    [...at, 'claimMappings', 'username', 'expression'],
    problem,
    '`claims.?email_verified.orValue(true) == true` somewhere',
  )
}

function expressionIn(entry: object | undefined): string | undefined {
  const { expression, valueExpression = expression } = (entry ?? {}) as {
    expression?: string
    valueExpression?: string
  }
  return valueExpression
}
