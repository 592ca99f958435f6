import { FileReload } from '../document/file-reload.ts'
import { readTextFile } from '../document/text-file.ts'
import { checkAuthorities, checkClientCertificate, checkIssued } from '../upstream/certificates.ts'
import type { Text } from '../upstream/endpoint.ts'
import { whyUncovered } from './certificate-hosts.ts'
import { type ServerCertificate, type ServerCertificateList, ServerCertificates } from './server-certificates.ts'

/** A certificate or a key may have at most so many bytes. */
const MAX_PEM_BYTES = 1024 * 1024

/** Where a certificate with its chain and its private key are, both PEM. Absolute paths. */
export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  /** PEM of the private authority that clients have to be told of. */
  readonly certificateAuthority?: Text
}

/** At least one. */
export type CertificateFilesList = readonly [CertificateFiles, ...CertificateFiles[]]

export interface CertificateWatchOptions {
  readonly files: CertificateFilesList
  /** What clients call the listener: names in lower case, and addresses. There has to be a certificate for each. */
  readonly hosts: readonly string[]
  /** As {@link ServerCertificates} takes them. */
  readonly clientAuthorities: string
  readonly onReplaced: (certificates: ServerCertificates) => void
  /** Told when what the files hold cannot be used, in one phrase. The certificates in force stay. */
  readonly onRefused: (problem: string) => void
  /** Told when it can be used again. */
  readonly onMended: () => void
}

/** Keeps the certificates of a listener what their files say, all of them or none: each in force and with its key, and one for each host. */
export class CertificateWatch {
  readonly certificates: ServerCertificates
  readonly #reload: FileReload

  private constructor(certificates: ServerCertificates, reload: FileReload) {
    this.certificates = certificates
    this.#reload = reload
  }

  /**
   * Reads the files and goes on looking until {@link stop}.
   *
   * @throws Error of one phrase when they cannot be used now.
   */
  static async start(options: CertificateWatchOptions): Promise<CertificateWatch> {
    const { files, hosts, clientAuthorities, onReplaced, onRefused, onMended } = options
    let held = ''
    let certificates: ServerCertificates | null = null
    const apply = async (): Promise<void> => {
      const { list, text } = await readAll(files, hosts)
      if (text === held || certificates === null) return
      certificates.replace(list)
      held = text
      onReplaced(certificates)
    }
    const paths = files.flatMap(pathsOf)
    const reload = await FileReload.start({ paths: () => paths, apply, onRefused, onMended })
    try {
      const { list, text } = await readAll(files, hosts)
      held = text
      certificates = new ServerCertificates(list, clientAuthorities)
      return new CertificateWatch(certificates, reload)
    } catch (error) {
      await reload.stop()
      throw error
    }
  }

  /** Why the files cannot be used, so that older certificates stay in force; empty while they are what the files say. */
  get problem(): string {
    return this.#reload.problem
  }

  stop(): Promise<void> {
    return this.#reload.stop()
  }
}

function pathsOf({ certificate, key, certificateAuthority: authority }: CertificateFiles): readonly string[] {
  return authority !== undefined && 'file' in authority ? [certificate, key, authority.file] : [certificate, key]
}

interface ReadCertificates {
  readonly list: ServerCertificateList
  /** All that was read. */
  readonly text: string
}

async function readAll([first, ...rest]: CertificateFilesList, hosts: readonly string[]): Promise<ReadCertificates> {
  const list: ServerCertificateList = [await readOne(first), ...(await Promise.all(rest.map(readOne)))]
  const certificates = list.map(({ certificate }) => certificate)
  for (const host of hosts) {
    const problem = whyUncovered(certificates, host)
    if (problem !== '') throw new Error(problem)
  }
  return { list, text: JSON.stringify(list) }
}

async function readOne({ certificate, key, certificateAuthority }: CertificateFiles): Promise<ServerCertificate> {
  const pair = { certificate: await readPem(certificate), key: await readPem(key) }
  const what = `the certificate ${certificate}`
  checkClientCertificate(pair, what, Date.now())
  if (certificateAuthority === undefined) return pair
  const authorities =
    'file' in certificateAuthority ? await readPem(certificateAuthority.file) : certificateAuthority.value
  checkAuthorities(authorities, 'its certificate authority', Date.now())
  checkIssued(pair.certificate, authorities, what)
  return { ...pair, authorities }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readTextFile(path, MAX_PEM_BYTES)
  } catch (error) {
    throw new Error(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
