import { isDeepStrictEqual } from 'node:util'
import { type Document, isMap, isScalar, parseDocument, Scalar, type YAMLMap } from 'yaml'
import { AwsAuthError } from './role-mapping.ts'

/** Name and namespace of the ConfigMap that EKS reads. */
export const AWS_AUTH = { namespace: 'kube-system', name: 'aws-auth' } as const

/**
 * A manifest of the aws-auth ConfigMap, YAML or JSON, with an edited `mapRoles`. Outside of it every byte stays; within it a
 * literal block (`|`) keeps all lines too, while a text in quotes is written anew on one line with the same content.
 *
 * @param edit gives the new `mapRoles` for the present one (empty when there is none), and only inserts
 * @throws AwsAuthError when the manifest is another one, or cannot be edited without a risk
 */
export function editAwsAuth(manifest: string, edit: (mapRoles: string) => string): string {
  const document = read(manifest)
  const before = contentOf(document)
  if (before.kind !== 'ConfigMap' || before.metadata?.name !== AWS_AUTH.name) {
    throw new AwsAuthError(
      'the file is not the ConfigMap aws-auth; write it with: kubectl -n kube-system get configmap aws-auth -o yaml',
    )
  }
  if (before.metadata.namespace !== AWS_AUTH.namespace) {
    throw new AwsAuthError('the ConfigMap is not in namespace kube-system, where EKS reads it')
  }
  const present = before.data?.['mapRoles'] ?? ''
  const wanted = edit(present)
  if (wanted === present) return manifest
  const edited = replace(manifest, document, present, wanted)
  const after = parseDocument(edited)
  const expected = { ...before, data: { ...before.data, mapRoles: wanted } }
  if (after.errors.length > 0 || !isDeepStrictEqual(contentOf(after), expected)) {
    throw new AwsAuthError('the file is written so that it cannot be edited safely; edit the ConfigMap by hand')
  }
  return edited
}

interface Content {
  readonly kind?: unknown
  readonly metadata?: { readonly name?: unknown; readonly namespace?: unknown }
  readonly data?: Readonly<Record<string, string>> | null
}

function read(manifest: string): Document {
  const document = parseDocument(manifest)
  const [error] = document.errors
  if (error !== undefined)
    throw new AwsAuthError(`the file is not one YAML document (line ${error.linePos?.[0].line ?? 1})`)
  return document
}

function contentOf(document: Document): Content {
  try {
    // Every field is looked at before it is used.
    return (document.toJS() ?? {}) as Content
  } catch {
    throw new AwsAuthError('the file has aliases without anchors, or too many of them')
  }
}

function replace(manifest: string, document: Document, present: string, wanted: string): string {
  const lineBreak = /\r?\n/.exec(manifest)?.[0] ?? '\n'
  const node: unknown = document.getIn(['data', 'mapRoles'], true)
  if (isScalar(node)) {
    const [start, end] = node.range ?? [0, 0]
    if (node.type === Scalar.BLOCK_LITERAL && present !== '')
      return intoBlock(manifest, start, present, wanted, lineBreak)
    const quoted = JSON.stringify(wanted)
    if (node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED) {
      const ending = manifest.slice(start, end).endsWith('\n') ? lineBreak : ''
      return manifest.slice(0, start) + quoted + ending + manifest.slice(end)
    }
    return (
      manifest.slice(0, start) +
      (start === end && manifest[start - 1] === ':' ? ' ' : '') +
      quoted +
      manifest.slice(end)
    )
  }
  const data: unknown = document.get('data', true)
  const block = (indent: string): string =>
    `${indent}mapRoles: |\n${wanted.replaceAll(/^(?=.)/gm, `${indent}  `)}`.replaceAll('\n', lineBreak)
  const gapAt = (at: number): string => (at === 0 || manifest[at - 1] === '\n' ? '' : lineBreak)
  if (isMap(data) && data.flow !== true) {
    const at = endOf(manifest, data)
    return manifest.slice(0, at) + gapAt(at) + block(columnOf(manifest, data)) + manifest.slice(at)
  }
  const { contents } = document
  if (isMap(contents) && contents.flow !== true) {
    const column = columnOf(manifest, contents)
    if (data === undefined) {
      return `${manifest}${gapAt(manifest.length)}${column}data:${lineBreak}${block(`${column}  `)}`
    }
    if (isScalar(data) && data.value === null) {
      const [start, end] = data.range ?? [0, 0]
      const lineEnd = manifest.indexOf('\n', end)
      const at = lineEnd === -1 ? manifest.length : lineEnd + 1
      return manifest.slice(0, start) + manifest.slice(end, at) + gapAt(at) + block(`${column}  `) + manifest.slice(at)
    }
  }
  throw new AwsAuthError('the file has no mapRoles and its data is not a plain block; add `mapRoles: ""` to it first')
}

/**
 * Puts what `wanted` has more than `present` into the lines of a literal block. In such a block each line of the
 * text is a line of the file, behind a fixed indentation.
 */
function intoBlock(manifest: string, start: number, present: string, wanted: string, lineBreak: string): string {
  const first = manifest.indexOf('\n', start) + 1
  const lines = manifest.slice(first).split('\n')
  const texts = present.split('\n')
  const sample = texts.findIndex((text) => text.trim() !== '')
  const indentLength = (lines[sample]?.replace(/\r$/, '').length ?? 0) - (texts[sample]?.length ?? 0)
  if (sample === -1 || indentLength < 1) throw new AwsAuthError('mapRoles has no lines to tell its indentation from')
  const indent = ' '.repeat(indentLength)

  const at = commonPrefix(present, wanted)
  const inserted = wanted.slice(at, at + wanted.length - present.length)
  const row = present.slice(0, at).split('\n').length - 1
  const column = at - (present.lastIndexOf('\n', at - 1) + 1)
  const offset = first + lines.slice(0, row).reduce((sum, line) => sum + line.length + 1, 0)
  const indented = inserted.replaceAll(/\n(?=.)/g, `\n${indent}`).replaceAll('\n', lineBreak)
  if (column > 0) {
    const place = offset + indentLength + column
    return manifest.slice(0, place) + indented + manifest.slice(place)
  }
  const place = Math.min(offset, manifest.length)
  const gap = manifest[place - 1] === '\n' ? '' : lineBreak
  return manifest.slice(0, place) + gap + indent + indented + manifest.slice(place)
}

/** Length of the longest common beginning that still leaves the rest of `present` as the end of `wanted`. */
function commonPrefix(present: string, wanted: string): number {
  let length = 0
  while (length < present.length && present[length] === wanted[length]) length++
  while (length > 0 && !wanted.endsWith(present.slice(length))) length--
  return length
}

function columnOf(manifest: string, map: YAMLMap): string {
  const start = map.range?.[0] ?? 0
  return ' '.repeat(start - (manifest.lastIndexOf('\n', start - 1) + 1))
}

/** Behind the last line of a block mapping, before comments and blank lines that follow. */
function endOf(manifest: string, map: YAMLMap): number {
  const end = map.range?.[1] ?? manifest.length
  const lineEnd = manifest.indexOf('\n', Math.max(end - 1, 0))
  return lineEnd === -1 ? manifest.length : lineEnd + 1
}
