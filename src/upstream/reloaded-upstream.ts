import { FileReload } from '../document/file-reload.ts'
import { EndpointError } from './endpoint-error.ts'
import type { Endpoint } from './endpoint.ts'
import { FilesRead } from './small-file.ts'
import { Succession } from './succession.ts'
import { UpstreamClient } from './upstream-client.ts'
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from './upstream-limits.ts'
import type { ResponseSink, UpgradeAnswer, Upstream, UpstreamExchange, UpstreamRequest } from './upstream.ts'

/** What is told of an upstream whose way changes while it is used. */
export interface UpstreamEvents {
  /** New requests go another way. */
  readonly onReloaded: () => void
  /** What says the way cannot be read or used, in one line. What was in force before stays so. */
  readonly onRefused: (problem: string) => void
  readonly onMended: () => void
}

export interface ReloadedUpstreamOptions extends UpstreamEvents {
  /** Makes the endpoint; reads through `files` whatever a change of shall make it anew. Throws EndpointError. */
  readonly load: (files: FilesRead) => Promise<Endpoint>
  readonly limits?: UpstreamLimits
}

/**
 * An upstream that is made from files (authorities, client certificates, kubeconfigs) and made anew when they change. New
 * requests go the new way then; those under way, watches and sessions included, end where they are.
 */
export class ReloadedUpstream implements Upstream {
  readonly #limits: UpstreamLimits
  readonly #clients = new Succession()
  #client: UpstreamClient
  #files: FilesRead
  readonly #reload: FileReload
  #closed = false

  private constructor(loaded: Loaded, reload: FileReload, limits: UpstreamLimits) {
    this.#limits = limits
    this.#reload = reload
    this.#files = loaded.files
    this.#client = new UpstreamClient(loaded.endpoint, limits)
    this.#clients.follow(this.#client)
  }

  /**
   * Loads the endpoint, and again when its files change. One whose authorities or client certificate have expired is
   * opened too: it keeps nobody else from starting, and `problem` and `probe` say so. Closed by the caller.
   *
   * @throws EndpointError
   */
  static async open(options: ReloadedUpstreamOptions): Promise<ReloadedUpstream> {
    const { load, onReloaded, onRefused, onMended, limits = DEFAULT_UPSTREAM_LIMITS } = options
    const first = await loadFrom(load)
    let upstream: ReloadedUpstream | null = null
    const reload = await FileReload.start({
      paths: () => (upstream === null ? first.files : upstream.#files).paths,
      apply: async () => {
        const loaded = await loadFrom(load)
        if (upstream === null) loaded.endpoint.credential.close()
        else if (upstream.#replace(loaded)) onReloaded()
      },
      onRefused,
      onMended,
    })
    upstream = new ReloadedUpstream(first, reload, limits)
    return upstream
  }

  get openConnections(): number {
    return this.#clients.openConnections
  }

  get problem(): string {
    return this.#reload.problem === '' ? this.#client.problem : this.#reload.problem
  }

  send(request: UpstreamRequest, sink: ResponseSink, drain: () => void): UpstreamExchange {
    return this.#client.send(request, sink, drain)
  }

  upgrade(request: UpstreamRequest, protocol: string, signal: AbortSignal): Promise<UpgradeAnswer> {
    return this.#client.upgrade(request, protocol, signal)
  }

  probe(signal: AbortSignal): Promise<void> {
    return this.#client.probe(signal)
  }

  close(): void {
    this.#closed = true
    void this.#reload.stop()
    this.#clients.close()
  }

  /**
   * Returns whether anything is different.
   *
   * @throws EndpointError when what is in force would give way to what is not
   */
  #replace({ endpoint, files }: Loaded): boolean {
    const lapse = endpoint.lapseAt(Date.now())
    if (lapse !== '' && this.#client.lapse === '') {
      endpoint.credential.close()
      throw new EndpointError([lapse])
    }
    if (this.#closed || files.digest === this.#files.digest) {
      endpoint.credential.close()
      return false
    }
    this.#client = new UpstreamClient(endpoint, this.#limits)
    this.#clients.follow(this.#client)
    this.#files = files
    return true
  }
}

interface Loaded {
  readonly endpoint: Endpoint
  readonly files: FilesRead
}

async function loadFrom(load: ReloadedUpstreamOptions['load']): Promise<Loaded> {
  const files = new FilesRead()
  try {
    return { endpoint: await load(files), files }
  } catch (error) {
    // In one line, for the log.
    throw error instanceof EndpointError ? new EndpointError([error.problems.join('; ')]) : error
  }
}
