import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { ConnectorInput } from '../src/config/connector-schema.ts'
import { createCertificateAuthority } from './certificates.ts'
import { freePorts } from './free-ports.ts'
import { type PosternOptions, spawnPostern } from './postern.ts'

/** The parts of a connector document that differ from one sandbox to the next. */
export type ConnectorParts = Pick<ConnectorInput, 'sockets' | 'policies'> &
  Partial<Pick<ConnectorInput, 'defaultSocket' | 'limits' | 'policyObjects' | 'audit' | 'recordings'>> & {
    readonly issuer: {
      readonly url: string
      readonly certificateAuthority: string
      readonly clientID: string
      /** Default false. */
      readonly deviceAuthorization?: boolean
    }
    /** Who else may come in. */
    readonly machines?: Partial<Pick<ConnectorInput['identity'], 'serviceAccounts' | 'clientCertificates'>>
  }

/** A connector that runs as a process of its own: `postern connector start`. */
export interface Connector extends AsyncDisposable {
  readonly kubernetesURL: string
  readonly portalURL: string
  readonly opsURL: string
  /** Path of the authority that its listeners' certificates come from, and the PEM itself. */
  readonly certificateAuthority: { readonly path: string; readonly pem: string }
  readonly documentPath: string
  readonly auditLog: string
  /** Directory of the recordings, where the document keeps them in `recordings`. */
  readonly recordings: string
  readonly pid: number
  /** What it logged so far, JSON lines. */
  log(): string
  /** Resolves when `/readyz` says so; rejects with what it said last after `timeoutMs`. */
  ready(timeoutMs?: number): Promise<void>
  /** Ends it gracefully and gives back the exit code. May be called again. */
  stop(signal?: NodeJS.Signals): Promise<number>
}

/**
 * Writes a connector document into `directory` and starts a connector with it.
 *
 * @throws Error with what the connector said when it ended before it listened.
 */
export async function startConnector(
  directory: string,
  parts: ConnectorParts,
  options: PosternOptions = {},
): Promise<Connector> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptStart(directory, parts, options)
    } catch (error) {
      const taken = error instanceof Error && error.message.includes('cannot listen on')
      if (!taken || attempt === MAX_ATTEMPTS) throw error
    }
  }
}

/** A port that was free may be taken when the connector comes to listen on it. */
const MAX_ATTEMPTS = 3

async function attemptStart(directory: string, parts: ConnectorParts, options: PosternOptions): Promise<Connector> {
  const authority = createCertificateAuthority('postern sandbox')
  const server = authority.issueServer()
  const [kubernetesPort = 0, portalPort = 0, opsPort = 0] = await freePorts(3)
  const authorityPath = join(directory, 'connector-ca.crt')
  const documentPath = join(directory, 'connector.yaml')
  const auditDirectory = join(directory, 'audit')
  const kubernetesURL = `https://127.0.0.1:${kubernetesPort}`
  const portalURL = `https://127.0.0.1:${portalPort}`
  const opsURL = `http://127.0.0.1:${opsPort}`
  const tls = { certificate: 'tls.crt', key: 'tls.key' }
  const { issuer, machines, ...rest } = parts
  const document: ConnectorInput = {
    apiVersion: 'postern.dev/v1alpha1',
    kind: 'Connector',
    listen: {
      kubernetes: { address: `127.0.0.1:${kubernetesPort}`, tls, publicURL: kubernetesURL },
      portal: { address: `127.0.0.1:${portalPort}`, tls, publicURL: portalURL },
      ops: { address: `127.0.0.1:${opsPort}` },
    },
    identity: {
      issuers: [
        {
          issuer: { url: issuer.url, audiences: [issuer.clientID], certificateAuthority: issuer.certificateAuthority },
          client: {
            id: issuer.clientID,
            scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
            deviceAuthorization: issuer.deviceAuthorization ?? false,
          },
          claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
        },
      ],
      ...machines,
    },
    audit: { trail: { directory: auditDirectory } },
    ...rest,
  }
  await Promise.all([
    writeFile(join(directory, 'tls.crt'), server.cert + authority.certificate),
    writeFile(join(directory, 'tls.key'), server.key, { mode: 0o600 }),
    writeFile(authorityPath, authority.certificate),
    writeFile(documentPath, stringify(document)),
  ])
  return runConnector({
    documentPath,
    kubernetesURL,
    portalURL,
    opsURL,
    certificateAuthority: { path: authorityPath, pem: authority.certificate },
    auditLog: join(auditDirectory, 'audit.jsonl'),
    recordings: join(directory, 'recordings'),
    options,
  })
}

async function runConnector(
  known: Pick<
    Connector,
    'documentPath' | 'kubernetesURL' | 'portalURL' | 'opsURL' | 'certificateAuthority' | 'auditLog' | 'recordings'
  > & { readonly options?: PosternOptions },
): Promise<Connector> {
  const { options, ...addresses } = known
  const child = spawnPostern(['connector', 'start', '--config', known.documentPath], options)
  let log = ''
  const closed = once(child, 'close').then(([code]) => (code as number | null) ?? -1)
  await new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      log += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('"connector.started"')) resolve()
    })
    void closed.then((code) => {
      reject(new Error(`the connector ended with ${code}: ${log}`))
    })
  })
  const killed = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', killed)
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number> => {
    process.off('exit', killed)
    if (child.exitCode === null) child.kill(signal)
    return closed
  }
  return {
    ...addresses,
    pid: child.pid ?? 0,
    log: () => log,
    ready: (timeoutMs = 15_000) => untilReady(`${addresses.opsURL}/readyz?verbose`, timeoutMs),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

async function untilReady(url: string, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const response = await fetch(url)
    const text = await response.text()
    if (response.ok) return
    if (Date.now() > end) throw new Error(`the connector is not ready: ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
