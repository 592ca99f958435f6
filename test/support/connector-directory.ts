import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { ConnectorConfig } from '../../src/config/connector-config.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import type { Surroundings } from '../../src/config/surroundings.ts'
import { DocumentError, renderMistake } from '../../src/document/document.ts'

const kubeconfig = `
current-context: prod
contexts: [ { name: prod, context: { cluster: c, user: u } } ]
clusters: [ { name: c, cluster: { server: 'https://10.0.0.1:6443' } } ]
users: [ { name: u, user: { token: hunter3 } } ]
`

const listen = `
listen:
  kubernetes: { address: '127.0.0.1:8443', tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://Kube.example.com/' }
  portal: { tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://postern.example.com' }
`
const identity = `
identity:
  issuers:
  - issuer: { url: 'https://sso.example.com', audiences: [postern], certificateAuthority: ca.crt }
    client: { id: postern }
    claimMappings: { username: { claim: email, prefix: '' }, groups: { claim: groups, prefix: 'sso:' } }
`
const rest = `
policies: ['policies/*.yaml']
audit: { trail: { directory: trail } }
`
const sockets = `
sockets:
- name: production
  upstream: { kubeconfig: { path: ~/.kube/config } }
`
export const head = 'apiVersion: postern.dev/v1alpha1\nkind: Connector\n'
export const minimal = head + listen + identity + sockets + rest

/** A directory of a file of tests, with all that a connector document may name. */
export interface ConnectorDirectory {
  readonly directory: string
  readonly home: string
  readonly authority: ReturnType<typeof createCertificateAuthority>
  readonly leaf: { readonly cert: string; readonly key: string }
  /** A pair that is for no certificate here but its own. */
  readonly other: { readonly cert: string; readonly key: string }
  readonly client: { readonly cert: string; readonly key: string }
  /** Resolves names below the directory, and makes the directories between. Returns the path. */
  readonly write: (name: string, content: string) => string
  readonly surroundings: () => Surroundings
  readonly load: (text: string) => Promise<ConnectorConfig>
  /** Rendered, without the directory of the document. */
  readonly mistakesIn: (text: string) => Promise<readonly string[]>
  /** Of the minimal document with one thing replaced. */
  readonly mistakesWith: (from: string, to: string) => Promise<readonly string[]>
}

/** To be called where a file of tests begins; the directory is removed when they are over. */
export function stageConnectorDirectory(): ConnectorDirectory {
  const authority = createCertificateAuthority()
  const hosts = ['kube.example.com', 'postern.example.com', 'a', '*.sockets.example.com']
  const leaf = authority.issueServer({ hosts })
  const other = authority.issueServer({ hosts: ['other.example.org'] })
  const expired = authority.issueServer({ hosts, expired: true })
  const client = authority.issueClient({ commonName: 'postern' })
  const late = authority.issueClient({ commonName: 'late', expired: true })
  const directory = mkdtempSync(join(tmpdir(), 'postern-config-'))
  const home = join(directory, 'home')

  const write = (name: string, content: string): string => {
    const path = join(directory, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return path
  }
  beforeAll(() => {
    write('tls.crt', leaf.cert)
    write('tls.key', leaf.key)
    write('other.crt', other.cert)
    write('other.key', other.key)
    write('expired.crt', expired.cert)
    write('expired.key', expired.key)
    write('ca.crt', authority.certificate)
    write('client.crt', client.cert)
    write('client.key', client.key)
    write('late.crt', late.cert)
    write('late.key', late.key)
    write('token', 'hunter2\n')
    write('empty', '\n')
    write('policies/b.yaml', 'b')
    write('policies/a.yaml', 'a')
    write('policies/notes.txt', 'n')
    write('home/.kube/config', kubeconfig)
  })
  afterAll(() => {
    rmSync(directory, { recursive: true })
  })

  const surroundings = () => ({
    home,
    environment: { TOKEN: 'hunter4', EMPTY: '' },
    nowMs: Date.now(),
    whyHidden: () => '',
  })
  const load = (text: string) => loadConnectorConfig(write('connector.yaml', text), surroundings())
  const mistakesIn = async (text: string): Promise<readonly string[]> => {
    try {
      await load(text)
    } catch (error) {
      if (error instanceof DocumentError) {
        return error.mistakes.map((mistake) => renderMistake(mistake).replaceAll(`${directory}/`, ''))
      }
      throw error
    }
    return []
  }
  const mistakesWith = async (from: string, to: string): Promise<readonly string[]> => {
    expect(minimal).toContain(from)
    const lines = await mistakesIn(minimal.replace(from, to))
    return lines.map((line) => line.replace(/^connector\.yaml:\d+: /, ''))
  }
  return { directory, home, authority, leaf, other, client, write, surroundings, load, mistakesIn, mistakesWith }
}
