import { X509Certificate } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readTextFile } from '../document/text-file.ts'
import { checkClientCertificate } from '../upstream/certificates.ts'
import { type ServerCertificate, ServerCertificates } from './server-certificates.ts'

const DAY_MS = 24 * 60 * 60_000
const AUTHORITY_LIFETIME_MS = 1825 * DAY_MS
/** A new authority has to be handed out to people, so that it comes late, and only at a start. */
const AUTHORITY_RENEWED_BEFORE_MS = 90 * DAY_MS
const LEAF_LIFETIME_MS = 30 * DAY_MS
const LEAF_RENEWED_BEFORE_MS = 10 * DAY_MS
const LOOK_EVERY_MS = 60 * 60_000
const MAX_AUTHORITY_BYTES = 64 * 1024

/** The certificate, for people. */
const CERTIFICATE_FILE = 'trial-ca.crt'
/** Certificate and key in one, so that they are one file system entry. */
const AUTHORITY_FILE = 'trial-ca.pem'

export interface TrialAuthorityOptions {
  /** Where the authority is kept; made when it is missing. */
  readonly directory: string
  /** Names and addresses that the certificate is for. */
  readonly hosts: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Certificates for a trial, of an authority of the connector's own. The authority is kept, so that whoever trusts it once
 * goes on doing so after a restart; the certificates are made anew at each start and before they end, and stay in memory.
 */
export class TrialAuthority {
  /** Path of the authority's certificate, PEM. */
  readonly authorityFile: string
  /** SHA-256 of that certificate, as openssl prints it: pairs of hexadecimal digits with colons. */
  readonly fingerprint: string
  readonly #issue: () => ServerCertificate
  readonly #issued: ServerCertificates[] = []
  readonly #timer: NodeJS.Timeout

  private constructor(
    authority: ServerCertificate,
    authorityFile: string,
    issue: () => ServerCertificate,
    now: () => number,
  ) {
    this.#issue = issue
    this.authorityFile = authorityFile
    this.fingerprint = new X509Certificate(authority.certificate).fingerprint256
    this.#timer = setInterval(() => {
      for (const certificates of this.#issued) {
        const endsAtMs = certificates.inForce[0]?.notAfterMs ?? 0
        if (endsAtMs - now() < LEAF_RENEWED_BEFORE_MS) certificates.replace([issue()])
      }
    }, LOOK_EVERY_MS).unref()
  }

  /**
   * Loads the authority, or makes one. Renews what it issues until {@link stop}.
   *
   * @throws Error of one phrase when the directory cannot be used.
   */
  static async start({ directory, hosts, now }: TrialAuthorityOptions): Promise<TrialAuthority> {
    // Only a trial needs what encodes certificates: 50 ms.
    const { issueAuthority, issueServerCertificate } = await import('./certificate-issuer.ts')
    const path = join(directory, AUTHORITY_FILE)
    const make = (): ServerCertificate =>
      issueAuthority(`Postern trial authority ${new Date(now()).toISOString().slice(0, 10)}`, {
        nowMs: now(),
        lifetimeMs: AUTHORITY_LIFETIME_MS,
      })
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const kept = await readAuthority(path)
      if (kept !== null && !isUsable(kept, now())) await rm(path, { force: true })
      const authority = kept !== null && isUsable(kept, now()) ? kept : await keepFirst(path, make())
      const authorityFile = join(directory, CERTIFICATE_FILE)
      await replaceFile(authorityFile, authority.certificate, 0o644)
      const issue = (): ServerCertificate => {
        const leaf = issueServerCertificate(authority, hosts, { nowMs: now(), lifetimeMs: LEAF_LIFETIME_MS })
        return { certificate: leaf.certificate + authority.certificate, key: leaf.key }
      }
      return new TrialAuthority(authority, authorityFile, issue, now)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`cannot keep the authority of a trial certificate in ${directory}: ${why}`, { cause: error })
    }
  }

  /** What a server proves its names with from now on. `clientAuthorities` as {@link ServerCertificates} takes them. */
  issue(clientAuthorities: string): ServerCertificates {
    const certificates = new ServerCertificates([this.#issue()], clientAuthorities)
    this.#issued.push(certificates)
    return certificates
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** Null when there is none. */
async function readAuthority(path: string): Promise<ServerCertificate | null> {
  let text
  try {
    text = await readTextFile(path, MAX_AUTHORITY_BYTES)
  } catch (error) {
    if (error instanceof Error && error.message === 'no such file') return null
    throw error
  }
  return { certificate: block(text, 'CERTIFICATE'), key: block(text, 'PRIVATE KEY') }
}

function block(text: string, label: string): string {
  const found = new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`).exec(text)
  return found === null ? '' : `${found[0]}\n`
}

/** Whether it is whole, in force, and remains so for a while. */
function isUsable(authority: ServerCertificate, nowMs: number): boolean {
  try {
    checkClientCertificate(authority, 'the authority', nowMs)
    checkClientCertificate(authority, 'the authority', nowMs + AUTHORITY_RENEWED_BEFORE_MS)
    return true
  } catch {
    return false
  }
}

/** Of several connectors that make an authority at once, the first one's counts. */
async function keepFirst(path: string, made: ServerCertificate): Promise<ServerCertificate> {
  const temporary = `${path}.${process.pid}-${crypto.randomUUID()}`
  await writeSynced(temporary, made.certificate + made.key, 0o600)
  try {
    await link(temporary, path)
    return made
  } catch (error) {
    const theirs = await readAuthority(path)
    if (theirs === null) throw error
    return theirs
  } finally {
    await rm(temporary, { force: true })
  }
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${process.pid}-${crypto.randomUUID()}`
  await writeSynced(temporary, text, mode)
  await rename(temporary, path)
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
