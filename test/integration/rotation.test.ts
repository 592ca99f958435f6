import { once } from 'node:events'
import { connect } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { answerLoad } from '../support/load-answers.ts'
import { renderFigures } from '../support/load-figures.ts'
import {
  ROTATED_SOCKETS,
  credentialsSeen,
  listenerFiles,
  renderKubeconfig,
  startRotatedConnector,
} from '../support/rotated-connector.ts'
import { STAGED_POLICY } from '../support/staged-gateway.ts'
import { startLoad } from '../support/steady-load.ts'

const TEST_TIMEOUT_MS = 180_000
const WATCHES = 50
const SESSIONS = 10

it(
  'of certificates, authorities, tokens, kubeconfigs and policies drops nothing of 100 requests a second, 50 watches and 10 sessions',
  async ({ annotate }) => {
    const { connector, listeners, listener, serviceAccount, kubeconfig, policies } = await startRotatedConnector()
    onTestFinished(() => connector.stop())
    const { apiServer, port, token } = connector
    const { url, certificateAuthority: first } = apiServer
    const answers = answerLoad(apiServer)
    onTestFinished(() => {
      answers.stop()
    })
    const nextListeners = createCertificateAuthority('the next of the listeners')
    const nextListener = listenerFiles(nextListeners)
    const next = createCertificateAuthority('the next of the API server')
    const nextServer = next.issueServer()
    const load = startLoad({
      ...{ port, token, certificateAuthority: listeners.certificate + nextListeners.certificate },
      ...{ sockets: ROTATED_SOCKETS, requestsPerSecond: 100, maxUnderWay: 20, watches: WATCHES, sessions: SESSIONS },
    })
    onTestFinished(async () => {
      await load.stop()
    })
    await load.steady
    const told = (name: string): number => connector.log().split(`"msg":"${name}"`).length - 1

    const untilSeen = async (...tokens: string[]): Promise<void> => {
      for (const each of tokens) await expect.poll(() => credentialsSeen(apiServer)).toContain(`Bearer ${each}`)
    }
    const both = first + next.certificate
    await listener.replace(nextListener)
    await policies.replace({ 'developers.yaml': STAGED_POLICY.replace('services/proxy', 'services/status') })
    await serviceAccount.replace({ 'ca.crt': first, token: 'second' })
    await kubeconfig.replace({ config: renderKubeconfig(url, first, 'second-of-kubeconfig') })
    await untilSeen('second', 'second-of-kubeconfig')
    await expect.poll(() => told('upstream.reloaded')).toBe(1)

    await serviceAccount.replace({ 'ca.crt': both, token: 'token-of-both' })
    await kubeconfig.replace({ config: renderKubeconfig(url, both, 'kubeconfig-of-both') })
    await expect.poll(() => told('upstream.reloaded')).toBe(3)
    apiServer.server.setSecureContext(nextServer)
    await serviceAccount.replace({ 'ca.crt': next.certificate, token: 'token-of-next' })
    await kubeconfig.replace({ config: renderKubeconfig(url, next.certificate, 'kubeconfig-of-next') })
    await expect.poll(() => told('upstream.reloaded')).toBe(5)
    await expect.poll(() => told('certificate.replaced')).toBe(2)
    await expect.poll(() => told('policy.replaced')).toBe(1)
    await untilSeen('token-of-next', 'kubeconfig-of-next')
    const visitor = connect({ host: '127.0.0.1', port, ca: nextListeners.certificate })
    await once(visitor, 'secureConnect')
    visitor.destroy()

    const before = await load.figures()
    await expect
      .poll(async () => {
        const { answers: answered, sessions } = await load.figures()
        return answered.length > before.answers.length + 100 && sessions.echoes > before.sessions.echoes + 20
      })
      .toBe(true)
    const endedAtMs = Date.now()
    const figures = await load.stop()
    await annotate(renderFigures(figures, endedAtMs))

    expect(figures.failures).toEqual([])
    expect(figures.retried).toBe(0)
    expect(answers.created).toEqual(new Map(figures.created.map((name) => [name, 1])))
    expect(figures.watches).toMatchObject({ opened: WATCHES, endedCleanly: 0, brokenOff: [], lost: 0 })
    expect(figures.sessions).toMatchObject({ opened: SESSIONS, endings: [], lost: 0 })
    expect(connector.log()).not.toMatch(/refused|request\.failed/)
  },
  TEST_TIMEOUT_MS,
)
