import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { buildEndpoint, type Endpoint, type EndpointParts, type Text } from './endpoint.ts'
import { Problems } from './endpoint-error.ts'
import { hintInPlaceOf } from './program-hints.ts'
import { FilesRead } from './small-file.ts'

/** A kubeconfig may have at most so many bytes. */
const MAX_KUBECONFIG_BYTES = 4 * 1024 * 1024

/** Kubeconfig files, and which of their contexts counts. */
export interface KubeconfigOptions {
  /**
   * One file, or several that are read as kubectl reads those of `$KUBECONFIG`: the first that has something counts, and
   * those that are missing are passed over, as long as one is there.
   */
  readonly path: string | readonly string[]
  /** Default: the first `current-context`. */
  readonly context?: string | undefined
}

/** A YAML mapping. */
type Mapping = Readonly<Record<string, unknown>>

/** One file as it was read. */
interface KubeconfigFile {
  readonly document: Mapping
  /** What its paths are relative to. */
  readonly directory: string
}

/**
 * The endpoint that a context of a kubeconfig names.
 *
 * Nothing that the file names is ever run. What would run a program, weaken the verification of the server, or
 * make requests in another name or by another way is refused instead of ignored.
 *
 * @throws EndpointError
 * @see k8s.io/client-go `tools/clientcmd/api/v1/types.go`, and `tools/clientcmd/loader.go` for several files
 */
export async function loadKubeconfig({ path, context }: KubeconfigOptions, files = new FilesRead()): Promise<Endpoint> {
  const paths = [path].flat()
  const problems = new Problems(`kubeconfig ${paths.join(', ')}`)
  const read: KubeconfigFile[] = []
  for (const one of paths) {
    const text = await problems.attempt(() => files.readIfThere(one, MAX_KUBECONFIG_BYTES))
    const document = typeof text === 'string' ? await problems.attempt(() => parseKubeconfig(text)) : undefined
    if (document !== undefined) read.push({ document, directory: dirname(one) })
  }
  if (read.length === 0 && !problems.any) for (const one of paths) problems.add(`cannot read ${one}: no such file`)
  if (problems.any) throw problems.toError()
  const parts = new ContextReader(read, problems).read(context)
  const endpoint = parts === undefined ? undefined : await buildEndpoint(parts, problems, files)
  if (endpoint === undefined) throw problems.toError()
  return endpoint
}

/** An empty file has nothing, as in client-go. */
function parseKubeconfig(text: string): Mapping {
  // The parser's own words quote the text, which may be a secret.
  const parsed = parseDocument(text)
  const [error] = parsed.errors
  if (error !== undefined) throw new Error(`it is not YAML: line ${error.linePos?.[0].line ?? 1} is malformed`)
  let document: unknown
  try {
    document = parsed.toJS()
  } catch {
    throw new Error('it has aliases without anchors, or too many of them')
  }
  if (document === null) return {}
  if (!isMapping(document)) throw new Error('it is not a YAML mapping')
  return document
}

/** Finds a context with its cluster and its user, and turns them into what an endpoint is made of. */
class ContextReader {
  readonly #files: readonly KubeconfigFile[]
  readonly #problems: Problems

  constructor(files: readonly KubeconfigFile[], problems: Problems) {
    this.#files = files
    this.#problems = problems
  }

  /** Undefined when the context or what it names is missing; other mistakes are added and reading goes on. */
  read(wanted: string | undefined): EndpointParts | undefined {
    const name = wanted ?? this.#files.map(({ document }) => document['current-context']).find(isPresent)
    if (typeof name !== 'string' || name === '') {
      this.#problems.add('it has no current-context, and no context is configured')
      return undefined
    }
    const context = this.#named('contexts', 'context', name)
    if (context === undefined) return undefined
    const cluster = this.#referred(context.value, name, 'clusters', 'cluster')
    const user = this.#referred(context.value, name, 'users', 'user')
    if (cluster === undefined || user === undefined) return undefined
    return { ...this.#readCluster(cluster), ...this.#readUser(user) }
  }

  #referred(context: Mapping, contextName: string, list: string, key: string): Named | undefined {
    const name = context[key]
    if (typeof name !== 'string' || name === '') {
      this.#problems.add(`context "${contextName}" names no ${key}`)
      return undefined
    }
    return this.#named(list, key, name)
  }

  /** In the first file that has the name; within one it may stand once. */
  #named(list: string, key: string, name: string): Named | undefined {
    const perFile = this.#files.map(({ document, directory }) => ({ entries: mappingsIn(document[list]), directory }))
    const holder = perFile.find(({ entries }) => entries.some((entry) => entry['name'] === name))
    const found = holder?.entries.filter((entry) => entry['name'] === name) ?? []
    const value = found[0]?.[key]
    if (holder !== undefined && found.length === 1 && isMapping(value)) {
      return { what: `${key} "${name}"`, value, directory: holder.directory }
    }
    const all = perFile.flatMap(({ entries }) => entries)
    if (found.length > 1) this.#problems.add(`there is more than one ${key} "${name}"`)
    else if (found.length === 1) this.#problems.add(`${key} "${name}" is empty`)
    else this.#problems.add(`there is no ${key} "${name}"; there is ${names(all)}`)
    return undefined
  }

  #readCluster(cluster: Named): Pick<EndpointParts, 'server' | 'certificateAuthority' | 'tlsServerName'> {
    if (cluster.value['insecure-skip-tls-verify'] === true) {
      this.#refuse(cluster, 'insecure-skip-tls-verify', 'name the certificate-authority instead')
    }
    if (isPresent(cluster.value['proxy-url'])) {
      this.#refuse(cluster, 'proxy-url', 'the connector dials the API server itself; run it where it can reach that')
    }
    return {
      server: this.#string(cluster, 'server') ?? '',
      certificateAuthority: this.#text(cluster, 'certificate-authority'),
      tlsServerName: this.#string(cluster, 'tls-server-name'),
    }
  }

  #readUser(user: Named): Pick<EndpointParts, 'token' | 'clientCertificate'> {
    for (const [key, nameOf] of [
      ['exec', 'command'],
      ['auth-provider', 'name'],
    ] as const) {
      const program = user.value[key]
      if (!isPresent(program)) continue
      const name: unknown = isMapping(program) ? program[nameOf] : ''
      this.#refuse(user, key, hintInPlaceOf(typeof name === 'string' ? name : ''))
    }
    for (const [key, hint] of REFUSED_USER_KEYS) {
      if (isPresent(user.value[key])) this.#refuse(user, key, hint)
    }
    const tokenFile = this.#string(user, 'tokenFile')
    const token = this.#string(user, 'token')
    const certificate = this.#text(user, 'client-certificate')
    const key = this.#text(user, 'client-key')
    if ((certificate === undefined) !== (key === undefined)) {
      const missing = key === undefined ? 'client-key' : 'client-certificate'
      this.#problems.add(`${user.what} has no ${missing} beside its other half`)
    }
    return {
      token:
        tokenFile !== undefined
          ? { file: resolve(user.directory, tokenFile) }
          : token === undefined
            ? token
            : { value: token },
      clientCertificate: certificate !== undefined && key !== undefined ? { certificate, key } : undefined,
    }
  }

  #refuse(named: Named, key: string, hint: string): void {
    this.#problems.add(`${named.what} has ${key}, which is refused: ${hint}`)
  }

  /** `KEY-data`, which is base64, goes before the file that `KEY` names. */
  #text(named: Named, key: string): Text | undefined {
    const data = this.#string(named, `${key}-data`)
    const file = this.#string(named, key)
    if (data === undefined) return file === undefined ? undefined : { file: resolve(named.directory, file) }
    if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(data)) this.#problems.add(`${named.what}: ${key}-data is not base64`)
    return { value: Buffer.from(data, 'base64').toString('latin1') }
  }

  /** An empty string is none, as in client-go. */
  #string(named: Named, key: string): string | undefined {
    const value = named.value[key]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value === 'string') return value
    this.#problems.add(`${named.what}: ${key} is not a string`)
    return undefined
  }
}

/** A context, a cluster or a user, with the words that name it in messages. */
interface Named {
  readonly what: string
  readonly value: Mapping
  /** Of the file that it stands in. */
  readonly directory: string
}

const NO_IMPERSONATION = 'the connector acts as itself, or as the subject when the socket says so'
const NO_PASSWORDS = 'Kubernetes has no passwords since 1.19; use a token, a tokenFile or a client certificate'

const REFUSED_USER_KEYS: readonly (readonly [string, string])[] = [
  ['username', NO_PASSWORDS],
  ['password', NO_PASSWORDS],
  ['as', NO_IMPERSONATION],
  ['as-uid', NO_IMPERSONATION],
  ['as-groups', NO_IMPERSONATION],
  ['as-user-extra', NO_IMPERSONATION],
]

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mappingsIn(list: unknown): readonly Mapping[] {
  return Array.isArray(list) ? list.filter(isMapping) : []
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function names(entries: readonly Mapping[]): string {
  const found = entries.map((entry) => entry['name']).filter((name) => typeof name === 'string')
  const shown = found.slice(0, 5).map((name) => JSON.stringify(name))
  return found.length === 0 ? 'none at all' : shown.join(', ') + (found.length > 5 ? ', …' : '')
}
