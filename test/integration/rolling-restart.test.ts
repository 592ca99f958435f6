import { expect, it, onTestFinished } from 'vitest'
import { answerLoad } from '../support/load-answers.ts'
import { renderFigures } from '../support/load-figures.ts'
import { startReplica } from '../support/staged-connector.ts'
import { stageSurroundings } from '../support/staged-gateway.ts'
import { startLoad } from '../support/steady-load.ts'
import { startTcpBalancer } from '../support/tcp-balancer.ts'

const TEST_TIMEOUT_MS = 180_000
/** Long beside the time in which the balancer learns of it, however busy the machine is. */
const SHUTDOWN_DELAY_MS = 1_500
/** Long beside the longest request. */
const DRAIN_TIMEOUT_MS = 3_000
/** A timer may be a little early. */
const TIMER_SLACK_MS = 100
const WATCHES = 50
const SESSIONS = 10

it(
  'as a Deployment does it fails no request of 100 a second, brings 50 watches back, and tells 10 sessions why they end',
  async ({ annotate }) => {
    const surroundings = await stageSurroundings({
      limits: { shutdownDelay: `${SHUTDOWN_DELAY_MS}ms`, drainTimeout: `${DRAIN_TIMEOUT_MS}ms` },
    })
    onTestFinished(() => surroundings.stop())
    const { apiServer, token, certificateAuthority } = surroundings
    const answers = answerLoad(apiServer)
    onTestFinished(() => {
      answers.stop()
    })
    const balancer = await startTcpBalancer()
    onTestFinished(() => {
      balancer.stop()
    })
    const start = async (name: string) => {
      const replica = await startReplica(surroundings, name)
      onTestFinished(async () => {
        await replica.end('SIGKILL')
      })
      const before = balancer.ready
      balancer.add(replica)
      return { replica, untilReady: () => expect.poll(() => balancer.ready).toBeGreaterThan(before) }
    }
    const old = await Promise.all([start('a'), start('b')])
    await expect.poll(() => balancer.ready).toBe(old.length)
    const load = startLoad({
      ...{ port: balancer.port, token, certificateAuthority, sockets: ['production'] },
      ...{ requestsPerSecond: 100, maxUnderWay: 20, watches: WATCHES, sessions: SESSIONS },
    })
    onTestFinished(async () => {
      await load.stop()
    })
    await load.steady

    // No replica goes before the one in its place is ready; it drains while the next is replaced.
    let firstToldAtMs = 0
    const ended: Promise<number | null>[] = []
    for (const [index, { replica }] of old.entries()) {
      const next = await start(`${index}`)
      await next.untilReady()
      if (index === 0) firstToldAtMs = Date.now()
      ended.push(replica.end('SIGTERM'))
      await expect.poll(() => balancer.ready).toBe(old.length)
    }
    expect(await Promise.all(ended)).toEqual([0, 0])
    const { requests } = await load.figures()
    await expect
      .poll(async () => {
        const now = await load.figures()
        return { more: now.requests > requests + 20, watches: now.watches.open, sessions: now.sessions.open }
      })
      .toEqual({ more: true, watches: WATCHES, sessions: SESSIONS })
    const endedAtMs = Date.now()
    const figures = await load.stop()
    await annotate(renderFigures(figures, endedAtMs))

    const { watches, sessions, told } = figures
    expect(figures.failures).toEqual([])
    expect(balancer.refused).toBe(0)
    expect(answers.created).toEqual(new Map(figures.created.map((name) => [name, 1])))
    // Watches over HTTP/1.1 come again at once on the connection that they had.
    expect(told.connectionClose).toBeGreaterThan(0.4 * WATCHES)
    expect(told.goaway).toBeGreaterThan(0)
    expect(watches).toMatchObject({ brokenOff: [], lost: 0 })
    expect(watches.endedCleanly).toBeGreaterThanOrEqual(WATCHES)
    expect(sessions.endings.length).toBeGreaterThanOrEqual(SESSIONS)
    expect(new Set(sessions.endings.map(({ what }) => what.replace(/ \(.*$/, '')))).toEqual(
      new Set(['the connector stops; run the command again to go on']),
    )
    const graceMs = Math.min(...sessions.endings.map(({ atMs }) => atMs)) - firstToldAtMs
    expect(graceMs).toBeGreaterThan(SHUTDOWN_DELAY_MS + DRAIN_TIMEOUT_MS - TIMER_SLACK_MS)
    expect(sessions.lost).toBe(0)
  },
  TEST_TIMEOUT_MS,
)
