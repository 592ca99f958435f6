import { FileReload } from '../document/file-reload.ts'
import type { Text } from '../upstream/endpoint.ts'
import { CertificateWatch, type CertificateWatchOptions } from './certificate-files.ts'
import { hostOfURL } from './certificate-hosts.ts'
import { authorityInForce, readClientAuthorities } from './client-authorities.ts'
import type { ConnectorConfig } from './connector-config.ts'
import type { ServerCertificates } from './server-certificates.ts'
import { TrialAuthority } from './trial-authority.ts'

const LISTENERS = ['kubernetes', 'portal'] as const

/** A listener that speaks TLS. */
type ListenerName = (typeof LISTENERS)[number]

/** Whose certificates: a listener's own, or the authorities of clients. */
type CertificateOwner = ListenerName | 'clients'

/** What an operator has to know of a trial certificate. */
interface TrialNotice {
  /** Those without `tls`. */
  readonly listeners: readonly ListenerName[]
  /** Path of the authority's certificate. */
  readonly certificateAuthority: string
  /** SHA-256 of it. */
  readonly fingerprint: string
  /** What makes a person's machine trust it. */
  readonly command: string
}

export interface ListenerCertificateEvents {
  readonly onTrial: (notice: TrialNotice) => void
  readonly onReplaced: (listener: CertificateOwner, inForce: ServerCertificates['inForce']) => void
  readonly onRefused: (listener: CertificateOwner, problem: string) => void
  readonly onMended: (listener: CertificateOwner) => void
}

/** Null for a listener without files. */
type Watches = Readonly<Record<ListenerName, CertificateWatch | null>>

/** What both TLS listeners prove their names with, from files that may change or made for a trial. */
export class ListenerCertificates {
  readonly kubernetes: ServerCertificates
  readonly portal: ServerCertificates
  readonly #watches: Watches
  readonly #trial: TrialAuthority | null
  #clients: FileReload | null = null

  private constructor(
    certificates: Readonly<Record<ListenerName, ServerCertificates>>,
    watches: Watches,
    trial: TrialAuthority | null,
  ) {
    this.kubernetes = certificates.kubernetes
    this.portal = certificates.portal
    this.#watches = watches
    this.#trial = trial
  }

  /**
   * Reads the files, or makes certificates, and keeps them up to date until {@link stop}.
   *
   * @param clients PEM of authorities whose certificates clients may show to the kubernetes listener; null asks for none
   * @throws Error of one phrase
   */
  static async open(
    config: Pick<ConnectorConfig, 'listen' | 'sockets' | 'stateDirectory'>,
    events: ListenerCertificateEvents,
    clients: Text | null = null,
  ): Promise<ListenerCertificates> {
    const { listen, stateDirectory } = config
    const clientAuthorities = clients === null ? '' : await readClientAuthorities(clients)
    const authoritiesOf = { kubernetes: clientAuthorities, portal: '' }
    const watches: Record<ListenerName, CertificateWatch | null> = { kubernetes: null, portal: null }
    try {
      for (const listener of LISTENERS) {
        const { tls } = listen[listener]
        if (tls === null) continue
        const hosts = hostsOf(listener, config)
        watches[listener] = await watch(
          listener,
          { files: tls, hosts, clientAuthorities: authoritiesOf[listener] },
          events,
        )
      }
      const withoutTls = LISTENERS.filter((listener) => watches[listener] === null)
      const trial =
        withoutTls.length === 0
          ? null
          : await TrialAuthority.start({ directory: stateDirectory, hosts: trialHosts(config), now: Date.now })
      if (trial !== null) events.onTrial(noticeOf(trial, withoutTls, listen.portal.publicURL))
      const certificatesOf = (listener: ListenerName): ServerCertificates => {
        const certificates = watches[listener]?.certificates ?? trial?.issue(authoritiesOf[listener])
        if (certificates === undefined) throw new TypeError(`${listener} has no certificate`)
        return certificates
      }
      const certificates = { kubernetes: certificatesOf('kubernetes'), portal: certificatesOf('portal') }
      const opened = new ListenerCertificates(certificates, watches, trial)
      if (clients !== null && 'file' in clients) await opened.#watchClients(clients, clientAuthorities, events)
      return opened
    } catch (error) {
      for (const listener of LISTENERS) await watches[listener]?.stop()
      throw error
    }
  }

  /** For each listener whether its certificates are those of its files and in force; empty when all is well. */
  problems(): readonly { readonly listener: CertificateOwner; readonly problem: string }[] {
    return [
      ...LISTENERS.map((listener) => ({ listener, problem: this.#problemOf(listener) })),
      ...(this.#clients === null ? [] : [{ listener: 'clients' as const, problem: this.#clients.problem }]),
    ]
  }

  /** Every certificate in force. */
  list(): readonly { readonly listener: ListenerName; readonly host: string; readonly notAfterMs: number }[] {
    return LISTENERS.flatMap((listener) =>
      this[listener].inForce.map(({ hosts, notAfterMs }) => ({ listener, host: hosts[0] ?? '', notAfterMs })),
    )
  }

  async stop(): Promise<void> {
    this.#trial?.stop()
    await this.#clients?.stop()
    for (const listener of LISTENERS) await this.#watches[listener]?.stop()
  }

  async #watchClients(
    clients: Text & { readonly file: string },
    read: string,
    { onReplaced, onRefused, onMended }: ListenerCertificateEvents,
  ): Promise<void> {
    let held = read
    this.#clients = await FileReload.start({
      paths: () => [clients.file],
      apply: async () => {
        const authorities = await readClientAuthorities(clients)
        if (authorities === held) return
        this.kubernetes.replaceClientAuthorities(authorities)
        held = authorities
        onReplaced('clients', authorityInForce(authorities))
      },
      onRefused: (problem) => {
        onRefused('clients', problem)
      },
      onMended: () => {
        onMended('clients')
      },
    })
  }

  #problemOf(listener: ListenerName): string {
    const problem = this.#watches[listener]?.problem ?? ''
    const expired = this[listener].inForce.find(({ notAfterMs }) => notAfterMs < Date.now())
    if (expired === undefined) return problem
    const end = `the certificate for ${expired.hosts[0] ?? ''} expired on ${new Date(expired.notAfterMs).toISOString()}`
    return problem === '' ? end : `${end}; ${problem}`
  }
}

function watch(
  listener: ListenerName,
  options: Pick<CertificateWatchOptions, 'files' | 'hosts' | 'clientAuthorities'>,
  events: ListenerCertificateEvents,
): Promise<CertificateWatch> {
  return CertificateWatch.start({
    ...options,
    onReplaced: ({ inForce }) => {
      events.onReplaced(listener, inForce)
    },
    onRefused: (problem) => {
      events.onRefused(listener, problem)
    },
    onMended: () => {
      events.onMended(listener)
    },
  })
}

function noticeOf(
  { authorityFile, fingerprint }: TrialAuthority,
  listeners: readonly ListenerName[],
  portal: string,
): TrialNotice {
  const command = `postern client login --portal ${portal} --certificate-authority ${authorityFile}`
  return { listeners, certificateAuthority: authorityFile, fingerprint, command }
}

/** What clients call a listener. */
function hostsOf(listener: ListenerName, { listen, sockets }: Pick<ConnectorConfig, 'listen' | 'sockets'>): string[] {
  const own = hostOfURL(listen[listener].publicURL)
  return listener === 'portal' ? [own] : [own, ...sockets.flatMap(({ hosts }) => hosts)]
}

/** Everything that the listeners are called, and what this machine calls itself. */
function trialHosts(config: Pick<ConnectorConfig, 'listen' | 'sockets'>): readonly string[] {
  const named = LISTENERS.map((listener) => hostOfURL(config.listen[listener].publicURL))
  const all = [...named, ...hostsOf('kubernetes', config), 'localhost', '127.0.0.1', '::1']
  return [...new Set(all)]
}
