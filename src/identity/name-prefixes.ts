import { quote } from '../kube/quote.ts'
import type { Subject } from '../kube/subject.ts'
import { compileCel } from './cel.ts'
import type { Expression, IssuerOptions, PrefixedClaim } from './issuer-options.ts'
import { refusal } from './refusal.ts'
import { isMachinePrefix } from './subject-name.ts'

/** Who makes names: an issuer, the service accounts of a cluster, or client certificates. */
interface NameSource {
  /** What its names begin with, one entry for each way they may; `''` is in it when any name may come. */
  readonly username: readonly string[]
  readonly groups: readonly string[]
}

/** What an issuer's names begin with, as far as its mappings tell. */
function issuerNames({ username, groups }: IssuerOptions['claimMappings']): NameSource {
  return { username: prefixesOf(username), groups: groups === undefined ? [] : prefixesOf(groups) }
}

/** @param prefix see {@link isMachinePrefix}. */
export function machineNames(prefix: string): NameSource {
  return { username: [prefix], groups: [prefix] }
}

/**
 * What names of a mapping begin with: its prefix, or the text that its expression begins with. Empty for an expression that
 * is not sound.
 */
export function prefixesOf(mapping: PrefixedClaim | Expression): readonly string[] {
  if ('claim' in mapping) return [mapping.prefix]
  try {
    return compileCel(mapping.expression, 'claims').beginnings
  } catch {
    return []
  }
}

/** Two sources whose names could not be told apart. */
export interface NameClash {
  /** Which names of the first. */
  readonly mapping: 'username' | 'groups'
  /** What they begin with, and what names of the second do: both `''`, or one begins the other. */
  readonly prefix: string
  readonly taken: string
}

/**
 * The first thing that would let one source make a name of the other; null when there is none. Where one alone makes names
 * without prefix there is none: {@link assertOwnNames} keeps it from the prefixes of the other.
 */
export function clashOf(one: NameSource, other: NameSource): NameClash | null {
  for (const mapping of ['username', 'groups'] as const) {
    for (const prefix of one[mapping]) {
      // A username may be like a group, but not like one that is kept.
      const known = prefix === '' ? other[mapping].filter((taken) => taken === '') : reserved(other)
      const taken = known.find((candidate) => prefix.startsWith(candidate) || candidate.startsWith(prefix))
      if (taken !== undefined) return { mapping, prefix, taken }
    }
  }
  return null
}

/** Whether one of two issuers says that it names the same people as the other. */
export function shareNames(one: NamingIssuer, other: NamingIssuer): boolean {
  const says = ({ sharesNamesWith = [] }: NamingIssuer, { url }: NamingIssuer): boolean => sharesNamesWith.includes(url)
  return says(one, other) || says(other, one)
}

type NamingIssuer = Pick<IssuerOptions, 'url' | 'sharesNamesWith'>

/** A prefix that an issuer's names must not begin with. */
interface ReservedPrefix {
  readonly prefix: string
  /** Whose it is, for whoever is refused. */
  readonly keptFor: 'machines' | 'another issuer'
}

/**
 * Prefixes that are not for the names of an issuer, by its URL.
 *
 * @param machines prefixes of service accounts and client certificates.
 * @throws TypeError when names could not be told apart; the document's schema finds it first.
 */
export function reservedPrefixes(
  issuers: readonly IssuerOptions[],
  machines: readonly string[],
): ReadonlyMap<string, readonly ReservedPrefix[]> {
  assertMachinePrefixes(machines)
  const sources = issuers.map((issuer) => ({ issuer, names: issuerNames(issuer.claimMappings) }))
  const byMachines = machines.map((prefix) => ({ prefix, keptFor: 'machines' as const }))
  return new Map(
    sources.map(({ issuer, names }) => {
      const others = sources.filter(({ issuer: other }) => other !== issuer && !shareNames(issuer, other))
      if (others.some((other) => clashOf(names, other.names) !== null))
        throw new TypeError('names of two issuers cannot be told apart')
      if (machines.some((prefix) => clashOf(names, machineNames(prefix)) !== null))
        throw new TypeError('names of an issuer cannot be told from those of machines')
      const byOthers = others.flatMap((other) =>
        reserved(other.names).map((prefix) => ({ prefix, keptFor: 'another issuer' as const })),
      )
      return [issuer.url, [...byMachines, ...byOthers]]
    }),
  )
}

/** @throws StatusError 401 when a name that an issuer gives is one that others are called by. */
export function assertOwnNames({ username, groups }: Subject, reservedForOthers: readonly ReservedPrefix[]): void {
  const taken = reservedForOthers.find(({ prefix }) => [username, ...groups].some((name) => name.startsWith(prefix)))
  if (taken !== undefined)
    throw refusal(`the token makes a name that begins with ${quote(taken.prefix)}, which is kept for ${taken.keptFor}`)
}

function reserved({ username, groups }: NameSource): readonly string[] {
  return [...new Set([...username, ...groups])].filter((prefix) => prefix !== '')
}

function assertMachinePrefixes(prefixes: readonly string[]): void {
  if (!prefixes.every(isMachinePrefix))
    throw new TypeError('a prefix of machines is lower-case with one colon, at its end')
  if (new Set(prefixes).size < prefixes.length) throw new TypeError('a prefix of machines stands twice')
}
