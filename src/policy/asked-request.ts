import { type AssumedIdentity, parseAssumedIdentity } from '../kube/assumed-identity.ts'
import { excerpt } from '../kube/quote.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import type { RawHeaders } from '../kube/raw-headers.ts'
import type { RequestInfo } from '../kube/request-info.ts'
import { requiredFieldValue } from '../kube/selectors.ts'
import { nearestName } from '../document/nearest-name.ts'
import { WordsError, sortWords } from './kubectl-words.ts'
import type { KubectlLine } from './kubectl-words.ts'
import { findResource, meantResource } from './kubernetes-resources.ts'
import type { ApiResource } from './kubernetes-resources.ts'

/** What a person asks for with one command. */
export interface AskedRequest {
  /** The request that the command is about. */
  readonly requestInfo: RequestInfo
  /** Of its headers those that a decision depends on. */
  readonly headers: RawHeaders
  /** Whom it is asked as (`--as`); null for whoever asks. */
  readonly assumed: AssumedIdentity | null
  /** What kubectl has to ask besides, such as the pod before an exec. */
  readonly also: readonly RequestInfo[]
}

/**
 * The request behind words: those of kubectl (`get pods/web -n prod`, `exec web`, `delete pods --all`), a verb of the API
 * and a resource (`deletecollection pods`, `impersonate users/ana`), a verb and a path (`get /metrics`), or a request line
 * (`GET /api/v1/pods?watch=1`). Without a namespace, `default` is meant.
 *
 * @throws WordsError when they are none of these; StatusError for a request line that is refused.
 */
export function askedRequest(given: readonly string[]): AskedRequest {
  const [method = '', target = ''] = given
  if (/^[A-Z]+$/.test(method) && given.length === 2) return asking(parseRequest(method, target).requestInfo)
  const line = sortWords(given)
  return { ...askedWith(line), assumed: parseAssumedIdentity(assumingHeaders(line)) }
}

function assumingHeaders({ flags, lists }: KubectlLine): RawHeaders {
  const headers: string[] = []
  for (const [flag, header] of [
    ['as', 'Impersonate-User'],
    ['as-uid', 'Impersonate-Uid'],
  ] as const) {
    const value = flags.get(flag)
    if (value !== undefined) headers.push(header, Buffer.from(value).toString('latin1'))
  }
  for (const group of lists.get('as-group') ?? [])
    headers.push('Impersonate-Group', Buffer.from(group).toString('latin1'))
  return headers
}

function askedWith(line: KubectlLine): AskedRequest {
  const [command] = line.words
  if (command === undefined) throw new WordsError('there are no words; write such as: get pods/web -n prod')
  const raw =
    line.flags.get('raw') ?? (command !== 'cp' && line.words[1]?.startsWith('/') === true ? line.words[1] : undefined)
  if (raw !== undefined) return asking(path(command, raw))
  if (line.flags.has('filename') || line.flags.has('kustomize'))
    throw new WordsError('files are not read; name the resource in place of -f')
  const ask = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
  if (ask !== undefined) return ask(line)
  if (!API_VERBS.has(command)) {
    const meant = nearestName(command, [...Object.keys(COMMANDS), ...API_VERBS])
    throw new WordsError(`there is no ${excerpt(command)}${meant === null ? '' : `, did you mean ${meant}?`}`)
  }
  return asking(request(command, objectOf(line)))
}

/** Verbs that are asked for as they are. */
const API_VERBS: ReadonlySet<string> = new Set([
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'],
  ...['bind', 'escalate', 'impersonate', 'approve', 'sign', 'attest', 'use'],
])

type Ask = (line: KubectlLine) => AskedRequest

const patches: Ask = (line) => {
  const object = objectOf(line)
  return asking(request('patch', object), request(object.name === '' ? 'list' : 'get', object))
}
const reads: Ask = (line) => asking(read(selectedBy(line), isWatch(line)))
const patchesNode: Ask = (line) => {
  const node = { ...known('nodes'), name: line.words[1] ?? '' }
  return asking(request('patch', node), request('get', node))
}

/** What kubectl's commands ask for. */
const COMMANDS: Readonly<Record<string, Ask>> = {
  get: reads,
  describe: reads,
  create: (line) => {
    const [, kind, ...rest] = line.words
    if (kind === 'token')
      return asking(request('create', { ...named('serviceaccounts', rest[0], line), subresource: 'token' }))
    const object = objectOf(line)
    return asking(request('create', object.subresource === '' ? { ...object, name: '' } : object))
  },
  run: (line) => {
    const pod = named('pods', undefined, line)
    return asking(request('create', pod), ...attaching({ ...pod, name: line.words[1] ?? '' }, line))
  },
  expose: (line) => asking(request('create', named('services', undefined, line))),
  autoscale: (line) => asking(request('create', named('horizontalpodautoscalers', undefined, line))),
  apply: (line) => {
    const object = objectOf(line)
    const requestInfo = request('patch', object)
    if (line.flags.has('server-side')) return { ...asking(requestInfo), headers: APPLIES }
    return asking(requestInfo, request('get', object), request('create', { ...object, name: '' }))
  },
  edit: patches,
  label: patches,
  annotate: patches,
  patch: (line) => asking(request('patch', objectOf(line))),
  replace: (line) => {
    const object = objectOf(line)
    const anew = line.flags.has('force')
    const besides = anew ? [request('delete', object), request('create', { ...object, name: '' })] : []
    return asking(request('update', object), ...besides)
  },
  scale: (line) => asking(request('patch', { ...objectOf(line), subresource: 'scale' })),
  set: (line) => patches(without(line, 1)),
  rollout: (line) => {
    const rest = without(line, 1)
    return line.words[1] === 'status' || line.words[1] === 'history' ? reads(rest) : patches(rest)
  },
  wait: (line) => asking(read(selectedBy(line), true)),
  delete: (line) => {
    const object = objectOf(line)
    const all = line.flags.has('all') || line.flags.has('selector') || object.name === ''
    return asking(request('delete', object), ...(all ? [read({ ...selectedBy(line), byName: false }, false)] : []))
  },
  logs: (line) => onPod(line, 'get', 'log'),
  exec: (line) => onPod(line, 'create', 'exec'),
  attach: (line) => onPod(line, 'create', 'attach'),
  'port-forward': (line) => onPod(line, 'create', 'portforward'),
  debug: (line) => {
    const [kind = ''] = (line.words[1] ?? '').split('/')
    const copied = line.flags.has('copy-to')
    if (!copied && !/^no(?:des?)?$/.test(kind)) {
      const asked = onPod(line, 'patch', 'ephemeralcontainers')
      return { ...asked, also: [...asked.also, ...attaching(podOf(line), line)] }
    }
    const object = copied ? podOf(line) : objectOf({ ...line, words: line.words.slice(0, 2) })
    const made = named('pods', undefined, line)
    return asking(request('create', made), request('get', object), ...attaching(made, line))
  },
  cp: (line) => {
    const remote = line.words.slice(1).find((word) => word.includes(':'))
    if (remote === undefined) throw new WordsError('neither side of cp is POD:PATH or NAMESPACE/POD:PATH')
    const [pod = '', namespace = line.flags.get('namespace') ?? DEFAULT] = remote
      .slice(0, remote.indexOf(':'))
      .split('/')
      .toReversed()
    return session({ ...known('pods'), namespace, name: pod }, 'create', 'exec')
  },
  top: (line) => {
    const kind = /^(?:node|no)s?$/.test(line.words[1] ?? '') ? 'nodes' : 'pods'
    const name = line.words[2] ?? ''
    const metrics = inNamespace({ ...known(`${kind}.metrics.k8s.io`), name }, line)
    return asking(read({ ...metrics, byName: name !== '' }, false))
  },
  cordon: patchesNode,
  uncordon: patchesNode,
  taint: (line) => patchesNode(without(line, 1)),
  drain: (line) => {
    const cordoned = patchesNode(line)
    const evicted = [request('list', known('pods')), request('create', { ...known('pods'), subresource: 'eviction' })]
    return { ...cordoned, also: [...cordoned.also, ...evicted] }
  },
  certificate: (line) =>
    asking(request('update', { ...named('certificatesigningrequests', line.words[2], line), subresource: 'approval' })),
  auth: (line) => {
    const review = line.words[1] === 'whoami' ? 'selfsubjectreviews' : 'selfsubjectaccessreviews'
    return asking(request('create', known(line.flags.has('list') ? 'selfsubjectrulesreviews' : review)))
  },
  version: () => asking(path('get', '/version')),
  'api-resources': () => asking(path('get', '/apis')),
  'api-versions': () => asking(path('get', '/apis')),
  explain: () => asking(path('get', '/openapi/v3')),
}

const DEFAULT = 'default'
const OF_COLLECTIONS: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection'])
const APPLIES: RawHeaders = ['Content-Type', 'application/apply-patch+yaml']

function isWatch({ flags }: KubectlLine): boolean {
  return flags.has('watch') || flags.has('watch-only')
}

/** What kubectl asks besides for `-i`. */
function attaching(pod: ApiObject, line: KubectlLine): readonly RequestInfo[] {
  const attaches = line.flags.has('stdin') && line.words[0] !== 'exec'
  return attaches ? [request('create', { ...pod, subresource: 'attach' })] : []
}

/** What a request is about. */
interface ApiObject extends ApiResource {
  /** Empty for all namespaces, and at the cluster scope. */
  readonly namespace: string
  readonly subresource: string
  readonly name: string
}

function known(resource: string): ApiObject {
  const kind = findResource(resource)
  if (kind === null) throw new TypeError(`${resource} is not a kind`)
  return { ...kind, namespace: '', subresource: '', name: '' }
}

function named(resource: string, name: string | undefined, line: KubectlLine): ApiObject {
  return inNamespace({ ...known(resource), name: name ?? '' }, line)
}

/** `TYPE`, `TYPE NAME` or `TYPE/NAME`. */
function objectOf(line: KubectlLine): ApiObject {
  const [command = '', what, ...rest] = line.words
  // Neither `team=blue` nor `team-` can be the name of an object.
  const [second, ...more] = rest.filter((word) => !/=|-$/.test(word))
  if (what === undefined) throw new WordsError(`${command} of what? Write such as: ${command} pods/web`)
  const [kind = '', inline, ...deeper] = what.split('/')
  if (what.includes(',') || deeper.length > 0) throw new WordsError(`${excerpt(what)} is not one kind or object`)
  if (second !== undefined && SEVERAL.has(command) && (more.length > 0 || inline !== undefined)) {
    throw new WordsError('ask for one object at a time')
  }
  return inNamespace(
    {
      ...resourceOf(kind),
      namespace: '',
      subresource: line.flags.get('subresource') ?? '',
      name: inline ?? second ?? '',
    },
    line,
  )
}

/** Commands behind whose object nothing but further objects may stand. */
const SEVERAL: ReadonlySet<string> = new Set(['get', 'describe', 'delete', 'list', 'watch', 'edit'])

function resourceOf(word: string): ApiResource {
  const kind = findResource(word)
  if (kind !== null) return kind
  if (word === 'all') throw new WordsError('"all" is several kinds; ask for each of them')
  const meant = meantResource(word)
  const hint = meant === null ? 'write those of others as PLURAL.GROUP' : `did you mean ${meant}?`
  throw new WordsError(`Kubernetes has no ${excerpt(word)}; ${hint}`)
}

function inNamespace(object: ApiObject, { flags }: KubectlLine): ApiObject {
  if (!object.namespaced) return object
  return { ...object, namespace: flags.has('all-namespaces') ? '' : (flags.get('namespace') ?? DEFAULT) }
}

function without(line: KubectlLine, index: number): KubectlLine {
  return { ...line, words: line.words.toSpliced(index, 1) }
}

/** A subresource of the pod that is named, or that kubectl finds behind another object. */
function onPod(line: KubectlLine, verb: string, subresource: string): AskedRequest {
  const target = line.words[1]
  if (target === undefined) throw new WordsError(`${line.words[0] ?? ''} of which pod?`)
  if (!target.includes('/')) return session(named('pods', target, line), verb, subresource)
  const object = objectOf({ ...line, words: line.words.slice(0, 2) })
  if (object.apiGroup === '' && object.resource === 'pods') return session(object, verb, subresource)
  const pods = named('pods', undefined, line)
  return asking(request(verb, { ...pods, subresource }), request('get', object), request('list', pods))
}

function podOf(line: KubectlLine): ApiObject {
  return named('pods', (line.words[1] ?? '').replace(/^pods?\//, ''), line)
}

function session(pod: ApiObject, verb: string, subresource: string): AskedRequest {
  return asking(request(verb, { ...pod, subresource }), request('get', pod))
}

/** An object to read, by its name or as what a selector selects. */
interface Selected extends ApiObject {
  readonly byName: boolean
}

function selectedBy(line: KubectlLine): Selected {
  const object = objectOf(line)
  if (object.name !== '') return { ...object, byName: true }
  const name = requiredFieldValue(line.flags.get('field-selector') ?? '', 'metadata.name') ?? ''
  return { ...object, name, byName: false }
}

function read({ byName, ...object }: Selected, watch: boolean): RequestInfo {
  if (watch) return request('watch', object)
  return request(byName ? 'get' : 'list', object)
}

function asking(requestInfo: RequestInfo, ...also: readonly RequestInfo[]): AskedRequest {
  return { requestInfo, headers: [], assumed: null, also }
}

function path(verb: string, target: string): RequestInfo {
  const method = {
    get: 'GET',
    head: 'HEAD',
    create: 'POST',
    post: 'POST',
    put: 'PUT',
    replace: 'PUT',
    patch: 'PATCH',
    delete: 'DELETE',
    options: 'OPTIONS',
  }[verb]
  if (method === undefined) throw new WordsError(`${excerpt(verb)} does not go with a path`)
  return parseRequest(method, target).requestInfo
}

function request(verb: string, object: ApiObject): RequestInfo {
  const { apiGroup, apiVersion, resource, subresource, name } = object
  const isOwn = apiGroup === '' && resource === 'namespaces' && !OF_COLLECTIONS.has(verb)
  const namespace = isOwn ? name : object.namespace
  const apiPrefix = apiGroup === '' ? 'api' : 'apis'
  const selected = (verb === 'list' || verb === 'watch') && name !== ''
  const parts = [resource, selected ? '' : name, subresource].filter((part) => part !== '')
  const scope = namespace === '' || resource === 'namespaces' ? [] : ['namespaces', namespace]
  return {
    isResourceRequest: true,
    path: ['', apiPrefix, apiGroup, apiVersion, ...scope, ...parts]
      .filter((part, index) => index === 0 || part !== '')
      .join('/'),
    verb,
    apiPrefix,
    apiGroup,
    apiVersion,
    namespace,
    resource,
    subresource,
    name,
    parts,
    fieldSelector: selected ? `metadata.name=${name}` : '',
    labelSelector: '',
  }
}
