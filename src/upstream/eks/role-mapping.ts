import { isDeepStrictEqual } from 'node:util'
import { type Document, isSeq, parseDocument, Scalar, visit, type YAMLSeq } from 'yaml'
import { formatRoleARN, parseRoleARN, withoutPath } from './role-arn.ts'

/** An entry of `mapRoles` in the aws-auth ConfigMap. */
export interface RoleMapping {
  readonly rolearn: string
  readonly username: string
  readonly groups: readonly string[]
}

/** aws-auth cannot be edited without a risk; one sentence that says why and what to do. */
export class AwsAuthError extends Error {
  override readonly name = 'AwsAuthError'
}

/** What aws-iam-authenticator skips, as others write nothing. */
const NOTHING: ReadonlySet<string> = new Set(['', '``', '""', "''"])

/**
 * `mapRoles` with one entry more. All that was there stays as it was, byte for byte, in the same order; only a text that
 * stands for nothing (`""`) is replaced. Returns the text itself when the role is mapped so already.
 *
 * @throws AwsAuthError when the text is no list, when the role is mapped to something else, or when the entry cannot be added
 * without another one being read differently
 * @see sigs.k8s.io/aws-iam-authenticator `pkg/mapper/configmap/configmap.go`
 */
export function addRoleMapping(mapRoles: string, mapping: RoleMapping): string {
  if (NOTHING.has(mapRoles.trim())) return renderBlock(mapping, '', '\n')
  const before = readEntries(mapRoles)
  if (isMappedAlready(before.entries, mapping)) return mapRoles
  const [at, inserted] = insertion(mapRoles, before.list, mapping)
  const edited = mapRoles.slice(0, at) + inserted + mapRoles.slice(at)
  const after = readEntries(edited)
  if (!isDeepStrictEqual(after.entries, [...before.entries, mapping])) {
    throw new AwsAuthError('mapRoles is written so that an entry cannot be added safely; add it by hand')
  }
  return edited
}

/** What role a mapping is for, the way aws-iam-authenticator compares: letters of either case are the same. */
function isSameRole(entry: Entry, mapping: RoleMapping): boolean {
  return entry.rolearn.toLowerCase() === mapping.rolearn.toLowerCase()
}

interface Entry {
  readonly rolearn: string
  readonly username: string
  readonly groups: readonly string[]
}

/** The names of fields may have letters of either case; what has another type counts as nothing. */
function toEntry(value: unknown): Entry {
  const fields = new Map(
    typeof value === 'object' && value !== null
      ? Object.entries(value).map(([name, field]): [string, unknown] => [name.toLowerCase(), field])
      : [],
  )
  const text = (name: string): string => {
    const field = fields.get(name)
    return typeof field === 'string' ? field : ''
  }
  const groups = fields.get('groups')
  return {
    rolearn: text('rolearn'),
    username: text('username'),
    groups: Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [],
  }
}

/** @throws AwsAuthError when the role is mapped to something else, since of two entries the last one would count */
function isMappedAlready(entries: readonly unknown[], mapping: RoleMapping): boolean {
  const place = entries.map(toEntry).findLastIndex((entry) => isSameRole(entry, mapping))
  if (place === -1) return false
  const { username, groups } = toEntry(entries[place])
  if (username === mapping.username && isDeepStrictEqual([...groups].sort(), [...mapping.groups].sort())) return true
  throw new AwsAuthError(
    `entry ${place + 1} of mapRoles maps this role already, to user ${JSON.stringify(username)} and groups ${JSON.stringify(groups)}; ` +
      'a second entry would replace it, so change that one by hand',
  )
}

/** Entries whose `rolearn` has a path, which match nobody; with the ARN that would match. */
export function rolesWithPath(mapRoles: string): readonly { readonly written: string; readonly meant: string }[] {
  if (NOTHING.has(mapRoles.trim())) return []
  return readEntries(mapRoles).entries.flatMap((entry) => {
    const written = toEntry(entry).rolearn
    const role = parseRoleARN(written)
    return role === null || role.path === '/' ? [] : [{ written, meant: formatRoleARN(withoutPath(role)) }]
  })
}

function readEntries(text: string): { readonly entries: readonly unknown[]; readonly list: YAMLSeq | null } {
  const document = parseDocument(text, { uniqueKeys: false })
  const [error] = document.errors
  if (error !== undefined) {
    throw new AwsAuthError(`mapRoles is not YAML (line ${error.linePos?.[0].line ?? 1} of it); repair it first`)
  }
  const { contents } = document
  let entries: unknown
  try {
    entries = document.toJS()
  } catch {
    throw new AwsAuthError('mapRoles has aliases without anchors, or too many of them; repair it first')
  }
  if (entries === null) return { entries: [], list: null }
  if (endsInBlock(text, document)) {
    throw new AwsAuthError('mapRoles ends within a text of several lines; end it with a line break first')
  }
  if (!isSeq(contents) || !Array.isArray(entries)) throw new AwsAuthError('mapRoles is not a list; repair it first')
  return { entries, list: contents }
}

/** Whether a line break at the end of the text would become part of a value. */
function endsInBlock(text: string, document: Document): boolean {
  if (text.endsWith('\n')) return false
  let found = false
  visit(document, {
    Scalar(_key, { type, range }) {
      found ||= (type === Scalar.BLOCK_LITERAL || type === Scalar.BLOCK_FOLDED) && (range?.[1] ?? 0) >= text.length
    },
  })
  return found
}

/** Where to put what. */
function insertion(text: string, list: YAMLSeq | null, mapping: RoleMapping): readonly [number, string] {
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n'
  const start = list?.range?.[0] ?? 0
  if (list?.flow === true) {
    const last = list.items.at(-1) as { readonly range?: readonly [number, number, number] | null } | undefined
    const entry = JSON.stringify(mapping)
    return last === undefined ? [start + 1, ` ${entry} `] : [last.range?.[1] ?? text.length, `, ${entry}`]
  }
  const indent = list === null ? '' : ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1))
  const lead = text.endsWith('\n') ? '' : lineBreak
  const entry = renderBlock(mapping, indent, lineBreak)
  return [text.length, lead + (lead === '' ? entry : entry.slice(0, -lineBreak.length))]
}

function renderBlock({ rolearn, username, groups }: RoleMapping, indent: string, lineBreak: string): string {
  const lines = [
    `- rolearn: ${scalar(rolearn)}`,
    `  username: ${scalar(username)}`,
    ...(groups.length === 0 ? ['  groups: []'] : ['  groups:', ...groups.map((group) => `  - ${scalar(group)}`)]),
  ]
  return lines.map((line) => indent + line + lineBreak).join('')
}

/** Plain where no reader of YAML could take it for something else. */
function scalar(text: string): string {
  const plain = /^[A-Za-z](?:[A-Za-z0-9/_.:@-]*[A-Za-z0-9])?$/.test(text)
  return plain && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text) ? text : JSON.stringify(text)
}
