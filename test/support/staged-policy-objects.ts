import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { StagedApiServer } from './staged-api-server.ts'

/** The collection of those of the cluster scope. */
export const CLUSTER_POLICIES = '/apis/postern.dev/v1alpha1/clusterposternpolicies'
const NAMESPACED_POLICIES = '/apis/postern.dev/v1alpha1/posternpolicies'

interface StoredObject {
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly spec: unknown
  readonly status?: unknown
}

/** An API server that keeps policy objects and can be made to fail; everything else it answers with an empty list. */
export class StagedPolicyObjects {
  readonly #apiServer: StagedApiServer
  readonly objects = new Map<string, StoredObject>()
  readonly patches: { readonly target: string; readonly body: unknown }[] = []
  readonly lists: string[] = []
  readonly watches: { readonly target: string; readonly response: ServerResponse }[] = []
  /** Answers in its place when it returns true. */
  fault: (target: string, response: ServerResponse) => boolean = () => false
  #version = 100

  constructor(apiServer: StagedApiServer) {
    this.#apiServer = apiServer
    apiServer.onRequest = (request, response) => void this.#answer(request, response)
  }

  /** Stores an object, and tells those who watch. */
  put(name: string, spec: object, namespace = ''): void {
    const at = this.#at(name, namespace)
    const before = this.objects.get(at)
    this.#version += 1
    const object: StoredObject = {
      kind: namespace === '' ? 'ClusterPosternPolicy' : 'PosternPolicy',
      metadata: {
        name,
        ...(namespace !== '' && { namespace }),
        uid: `uid-of-${name}`,
        generation: Number(before?.metadata['generation'] ?? 0) + 1,
        creationTimestamp: '2026-07-01T08:00:00Z',
        resourceVersion: String(this.#version),
        managedFields: [{ manager: 'x'.repeat(1000) }],
      },
      spec,
    }
    this.objects.set(at, object)
    this.#tell(at, before === undefined ? 'ADDED' : 'MODIFIED', object)
  }

  remove(name: string): void {
    const at = this.#at(name, '')
    const object = this.objects.get(at)
    this.objects.delete(at)
    this.#version += 1
    if (object !== undefined) this.#tell(at, 'DELETED', object)
  }

  /** Ends every watch without a word. */
  breakWatches(): void {
    for (const { response } of this.watches.splice(0)) response.destroy()
  }

  /** Sends a line to whoever watches. */
  say(line: string): void {
    for (const { response } of this.watches) response.write(line)
  }

  #at(name: string, namespace: string): string {
    return namespace === '' ? `${CLUSTER_POLICIES}/${name}` : `${NAMESPACED_POLICIES}/${namespace}/${name}`
  }

  #tell(at: string, type: string, object: StoredObject): void {
    for (const { target, response } of this.watches)
      if (at.startsWith(`${target}/`)) response.write(`${JSON.stringify({ type, object })}\n`)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    const { pathname, searchParams } = new URL(url, this.#apiServer.url)
    const body = await text(request)
    if (this.fault(url, response)) return
    if (method === 'PATCH') {
      const patch = JSON.parse(body) as { status: unknown }
      this.patches.push({ target: pathname, body: patch })
      const at = pathname.replace(/\/status$/, '').replace(/namespaces\/([^/]+)\/posternpolicies/, 'posternpolicies/$1')
      const object = this.objects.get(at)
      if (object === undefined) {
        response.writeHead(404).end('{}')
        return
      }
      this.#version += 1
      const metadata = { ...object.metadata, resourceVersion: String(this.#version) }
      const patched = { ...object, metadata, status: patch.status }
      this.objects.set(at, patched)
      this.#tell(at, 'MODIFIED', patched)
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(patched))
    } else if (pathname === CLUSTER_POLICIES || pathname === NAMESPACED_POLICIES) {
      response.writeHead(200, { 'Content-Type': 'application/json' })
      if (searchParams.has('watch')) {
        response.flushHeaders()
        this.watches.push({ target: pathname, response })
        return
      }
      this.lists.push(url)
      const stored = [...this.objects].filter(([at]) => at.startsWith(`${pathname}/`)).map(([, object]) => object)
      const start = Number(searchParams.get('continue') ?? 0)
      const end = start + Number(searchParams.get('limit') ?? stored.length)
      const metadata = { resourceVersion: String(this.#version), ...(end < stored.length && { continue: String(end) }) }
      response.end(JSON.stringify({ items: stored.slice(start, end), metadata }))
    } else {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"items":[]}')
    }
  }
}
