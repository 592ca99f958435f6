import { z } from 'zod'
import { mistakeAt } from '../document/document.ts'
import { inspectPart, splitDocuments } from '../document/document-stream.ts'
import type { DocumentPart } from '../document/document-stream.ts'
import { isObject } from '../document/wording.ts'
import { readYaml } from '../document/yaml-tree.ts'
import { clusterPolicyManifestSchema, namespacedPolicyManifestSchema } from './policy-document.ts'
import type { PolicyDocument } from './policy-document.ts'
import { confined, policyObjectName } from './policy-object.ts'
import { readPolicyDocuments, toPolicy } from './policy-set.ts'
import type { PolicyFile, PolicyReader, ReadPolicy } from './policy-set.ts'

type Content = Pick<PolicyDocument, 'spec' | 'tests'>

/**
 * Reads documents of kind Policy, and manifests of the policies that are Kubernetes objects as what they say once they
 * are applied: a `PosternPolicy` allows something in its own namespace alone. Manifests of other API groups, which often
 * stand beside them, are passed over; a list of policies is a mistake.
 *
 * @param socket the one whose cluster they are applied to; null where that is not known, and any socket is meant
 */
export function policyManifestReader(socket: string | null): PolicyReader {
  const sockets = socket === null ? undefined : [socket]
  return function* read({ file, text }: PolicyFile): Generator<ReadPolicy, void, undefined> {
    for (const part of splitDocuments(text)) {
      const head = headOf(part)
      if (head.listed) {
        yield refused(part, file)
        continue
      }
      if (head.foreign) continue
      if (head.kind === 'ClusterPosternPolicy') {
        yield readManifest(clusterPolicyManifestSchema, part, file, head, (value) => value)
      } else if (head.kind === 'PosternPolicy') {
        const { namespace } = head
        yield readManifest(namespacedPolicyManifestSchema, part, file, head, (value) =>
          confined(value, namespace, sockets),
        )
      } else {
        yield* readPolicyDocuments({ file, text: `${'\n'.repeat(part.before)}${part.text}` })
      }
    }
  }
}

function readManifest<Value>(
  schema: z.ZodType<Value>,
  part: DocumentPart,
  file: string,
  { kind, namespace, name: written }: Head,
  contentOf: (value: Value) => Content,
): ReadPolicy {
  const { value, mistakes, lineOf } = inspectPart(schema, part, file)
  const known = kind === 'PosternPolicy' || kind === 'ClusterPosternPolicy'
  const name = known && written !== '' ? policyObjectName({ kind, namespace, name: written }) : undefined
  const policy =
    value === null || name === undefined ? null : toPolicy(name, contentOf(value), (at) => `${file}:${lineOf(at)}`)
  return { file, lineOf, mistakes, name, policy }
}

/** A list, as `kubectl get --output yaml` prints several objects. */
function refused(part: DocumentPart, file: string): ReadPolicy {
  const document = inspectPart(z.unknown(), part, file)
  const expected = 'each object as a document of its own, with a line --- between them'
  const mistakes = [...document.mistakes, mistakeAt(document, ['items'], 'is a list', expected)]
  return { file, lineOf: document.lineOf, mistakes, name: undefined, policy: null }
}

/** What a document says it is; empty where it says nothing sound. */
interface Head {
  readonly kind: string
  readonly name: string
  /** Of a `PosternPolicy` alone. */
  readonly namespace: string
  /** Whether it is a manifest of somebody else's. */
  readonly foreign: boolean
  /** Whether it is a list in which there are policies. */
  readonly listed: boolean
}

function headOf({ text }: DocumentPart): Head {
  const { value } = readYaml(text)
  const top = isObject(value) ? value : {}
  const metadata = isObject(top['metadata']) ? top['metadata'] : {}
  const textAt = (object: Readonly<Record<string, unknown>>, key: string): string => {
    const found = object[key]
    return typeof found === 'string' ? found : ''
  }
  const kind = textAt(top, 'kind')
  const [group = ''] = textAt(top, 'apiVersion').split('/', 1)
  return {
    kind,
    name: textAt(metadata, 'name'),
    namespace: kind === 'PosternPolicy' ? textAt(metadata, 'namespace') : '',
    // A name that is nearly ours is rather a mistake.
    listed: Array.isArray(top['items']) && top['items'].some((item: unknown) => isObject(item) && isOurs(item)),
    foreign: kind !== '' && group !== '' && !/postern/i.test(group) && !/postern/i.test(kind),
  }
}

function isOurs(item: Readonly<Record<PropertyKey, unknown>>): boolean {
  return typeof item['apiVersion'] === 'string' && item['apiVersion'].startsWith('postern.dev/')
}
