import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { StagedApiServer } from '../support/staged-api-server.ts'
import { startStagedConnector } from '../support/staged-connector.ts'
import { STAGED_POLICY } from '../support/staged-gateway.ts'
import { answerLoad, renderFigures, startLoad } from '../support/steady-load.ts'

const SOON = { timeout: 10_000 }
const TEST_TIMEOUT_MS = 60_000

function kubeconfig(server: string, authority: string, token: string): string {
  return stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [
      { name: 'a', cluster: { server, 'certificate-authority-data': Buffer.from(authority).toString('base64') } },
    ],
    users: [{ name: 'a', user: { token } }],
  })
}

function authorizations({ seen }: StagedApiServer): Set<string | undefined> {
  return new Set(seen.map(({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('Authorization') + 1]))
}

it(
  'of certificates, authorities, tokens, kubeconfigs and policies drops nothing of 100 requests a second, 50 watches and 10 sessions',
  async ({ annotate }) => {
    const connector = await startStagedConnector({
      async prepare(directory, { url, certificateAuthority }) {
        await writeFile(join(directory, 'ca.crt'), certificateAuthority)
        await writeFile(join(directory, 'kubeconfig'), kubeconfig(url, certificateAuthority, 'first-of-kubeconfig'))
      },
      adjust(document) {
        const [production] = document.sockets
        const server = production?.upstream.server
        if (production === undefined || server === undefined) throw new Error('the staged document has no server')
        const first = { ...production, upstream: { server: { ...server, certificateAuthority: 'ca.crt' } } }
        return { ...document, sockets: [first, { name: 'second', upstream: { kubeconfig: { path: 'kubeconfig' } } }] }
      },
    })
    onTestFinished(() => connector.stop())
    const { apiServer, directory } = connector
    const { url, certificateAuthority: before } = apiServer
    onTestFinished(answerLoad(apiServer))
    const listeners = createCertificateAuthority('listeners')
    const load = startLoad({
      ...{ port: connector.port, token: connector.token },
      certificateAuthority: connector.certificateAuthority + listeners.certificate,
      ...{ sockets: ['production', 'second'], requestsPerSecond: 100, watches: 50, sessions: 10 },
    })
    onTestFinished(() => load.stop())
    await load.steady
    const told = (name: string): number => connector.log().split(`"msg":"${name}"`).length - 1
    const replace = async (name: string, text: string): Promise<void> => {
      await writeFile(join(directory, `${name}.new`), text)
      await rename(join(directory, `${name}.new`), join(directory, name))
    }

    const leaf = listeners.issueServer()
    await replace('tls.key', leaf.key)
    await replace('tls.crt', leaf.cert + listeners.certificate)
    await replace('policy.yaml', STAGED_POLICY.replace('services/proxy', 'services/status'))
    await replace('token', 'second-of-production')
    await expect.poll(() => told('certificate.replaced'), SOON).toBe(2)
    await expect.poll(() => told('policy.replaced'), SOON).toBe(1)

    const next = createCertificateAuthority('the next of the API server')
    await replace('ca.crt', before + next.certificate)
    await replace('kubeconfig', kubeconfig(url, before + next.certificate, 'second-of-kubeconfig'))
    await expect.poll(() => told('upstream.reloaded'), SOON).toBe(2)
    apiServer.server.setSecureContext(next.issueServer())
    await replace('ca.crt', next.certificate)
    await replace('kubeconfig', kubeconfig(url, next.certificate, 'third-of-kubeconfig'))
    await expect.poll(() => told('upstream.reloaded'), SOON).toBe(4)
    for (const token of ['second-of-production', 'third-of-kubeconfig'])
      await expect.poll(() => authorizations(apiServer), SOON).toContain(`Bearer ${token}`)
    const requests = load.figures.requests
    const echoes = load.figures.sessions.echoes
    await expect.poll(() => load.figures.requests, SOON).toBeGreaterThan(requests + 100)
    await expect.poll(() => load.figures.sessions.echoes, SOON).toBeGreaterThan(echoes + 20)
    await load.stop()

    const { figures } = load
    await annotate(renderFigures(figures))
    expect(figures.failures).toEqual([])
    expect(figures.watches).toMatchObject({ opened: 50, endedCleanly: 0, brokenOff: [] })
    expect(figures.sessions).toMatchObject({ opened: 10, lost: 0, endings: [] })
    expect(connector.log()).not.toMatch(/refused|request\.failed/)
  },
  TEST_TIMEOUT_MS,
)
