import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { freePorts } from '../../sandbox/free-ports.ts'
import { startIdentityProvider, type IdentityProvider } from '../../sandbox/identity-provider.ts'
import { type Browser, createBrowser, signIn, signOut } from '../../sandbox/identity-provider/browser.ts'
import { people, type Person } from '../../sandbox/identity-provider/people.ts'
import { type App, createApp } from '../../src/app.ts'
import { loadConnectorConfig } from '../../src/config/load-connector-config.ts'
import { changeLogin, keptLogin } from '../support/kept-login.ts'
import { nextSecond } from '../support/next-second.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { createOpener, type StagedSurroundings, stageSurroundings } from '../support/staged-gateway.ts'

// Attacks D12, E24.

/**
 * What ends a login, and within which time: with a real provider, a whole connector and the command itself. Every stream
 * has an exact end, so that nothing sleeps here.
 */

const PODS = '/sockets/production/api/v1/namespaces/default/pods'
/** As docs/logins.md says. */
const WITHIN_MS = 2_000

let provider: IdentityProvider
let surroundings: StagedSurroundings
let app: App
let opener: ReturnType<typeof createOpener>
let laptop: Laptop
let browser: Browser
let portal: string
let employed: Person[]

/** @param sessions whether the provider tells sessions apart, and tells of their ends. */
async function start(sessions: boolean): Promise<void> {
  const authority = createCertificateAuthority()
  const [portalPort = 0] = await freePorts(1)
  portal = `https://127.0.0.1:${portalPort}`
  employed = [people.ana, people.omar]
  const backChannelLogout = { uri: `${portal}/backchannel-logout`, certificateAuthority: '' }
  provider = await startIdentityProvider({
    tls: { ...authority.issueServer(), ca: authority.certificate },
    people: employed,
    ...(sessions && { backChannelLogout }),
  })
  surroundings = await stageSurroundings({
    policy: `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: everybody }
spec: { subjects: { groups: [everyone] }, rules: [ { verbs: ["*"], resources: ["*"] } ] }
`,
    adjust: (document) => ({
      ...document,
      limits: { drainTimeout: '0s' },
      listen: {
        ...document.listen,
        portal: { ...document.listen.portal, address: `127.0.0.1:${portalPort}`, publicURL: portal },
      },
      identity: {
        issuers: [
          {
            issuer: {
              url: provider.issuer,
              audiences: ['postern'],
              certificateAuthority: provider.certificateAuthority,
            },
            client: {
              id: 'postern',
              scopes: ['openid', 'email', 'groups', 'offline_access'],
              backchannelLogout: sessions,
            },
            claimMappings: { username: { claim: 'email', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
          },
        ],
      },
    }),
  })
  backChannelLogout.certificateAuthority = surroundings.certificateAuthority
  surroundings.apiServer.onRequest = (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    if (/watch|follow/.test(request.url ?? '')) response.write('{"type":"ADDED"}\n')
    else response.end('{}')
  }
  const config = await loadConnectorConfig(surroundings.document)
  app = await createApp(config, { log: pino({ base: null }, { write: () => undefined }) })
  await app.start()
  opener = createOpener(surroundings)
  writeFileSync(join(laptop.home, 'ca.crt'), surroundings.certificateAuthority)
}
beforeEach(() => {
  laptop = createLaptop()
})
afterEach(async () => {
  laptop.dispose()
  opener.agent.destroy()
  await app.stop()
  await surroundings.stop()
  await provider.stop()
  expect(provider.errors).toEqual([])
})

/** Signs in with `client login` and this browser, as often as the command asks. */
async function logIn(person: Person = people.ana, within = browser): Promise<CommandResult & { asked: number }> {
  const authority = join(laptop.home, 'ca.crt')
  const command = laptop.start([
    ...['client', 'login', '--portal', portal, '--no-browser', '--certificate-authority', authority],
  ])
  let asked = 0
  let heard = ''
  const visits: Promise<unknown>[] = []
  command.process.stderr?.on('data', (text: string) => {
    heard += text
    for (const [, address = ''] of [...heard.matchAll(/^Sign in at: (.*)$/gm)].slice(asked)) {
      asked += 1
      visits.push(signIn(provider, person, address, within))
    }
  })
  const result = await command.result
  await Promise.all(visits)
  return { ...result, asked }
}

const idToken = (): string => keptLogin(laptop, portal).login.idToken
const bearer = (token: string) => ({ anonymous: true, headers: { Authorization: `Bearer ${token}` } })

async function statusOf(token: string): Promise<readonly [number, string]> {
  const answer = await opener.open(PODS, bearer(token))
  const body = Buffer.concat((await answer.toArray()) as Buffer[]).toString()
  return [answer.statusCode ?? 0, (JSON.parse(body) as { message?: string }).message ?? '']
}

/** A watch and a followed log, which are open when this resolves. */
async function openStreams(token: string): Promise<{ ended: Promise<number>; readonly open: number }> {
  const answers: IncomingMessage[] = []
  for (const path of [`${PODS}?watch=true`, `${PODS}/web/log?follow=true`]) {
    const answer = await opener.open(path, bearer(token))
    expect(answer.statusCode).toBe(200)
    answers.push(answer)
  }
  const ended = Promise.all(
    answers.map(async (answer) => {
      answer.resume().on('error', () => undefined)
      await once(answer, 'close').catch(() => undefined)
    }),
  ).then(() => Date.now())
  return {
    ended,
    get open() {
      return answers.filter(({ closed }) => !closed).length
    },
  }
}

describe.each([
  ['tells sessions apart', true],
  ['tells nothing apart', false],
] as const)('at an issuer that %s', (_, sessions) => {
  beforeEach(async () => {
    await start(sessions)
    browser = createBrowser(provider)
  })

  test('client logout ends what is open within 2 s and nobody else’s, and its person comes in again at once', async () => {
    expect(await logIn()).toMatchObject({ exitCode: 0, asked: 1 })
    const token = idToken()
    const own = await openStreams(token)
    const others = createLaptop()
    const atOthers = laptop
    laptop = others
    writeFileSync(join(laptop.home, 'ca.crt'), surroundings.certificateAuthority)
    expect(await logIn(people.omar, createBrowser(provider))).toMatchObject({ exitCode: 0 })
    const omars = await openStreams(idToken())
    laptop = atOthers
    others.dispose()

    const before = { ...provider.counts }
    const begunAtMs = Date.now()
    const logout = await laptop.run(['client', 'logout'])
    expect(logout).toEqual({ exitCode: 0, stdout: `You are signed out of ${portal}.\n`, stderr: '' })
    // From before the command itself has started.
    expect((await own.ended) - begunAtMs).toBeLessThan(WITHIN_MS + 3_000)
    expect((await own.ended) - Date.now()).toBeLessThan(WITHIN_MS)
    expect(omars.open).toBe(2)
    expect(provider.counts.revocations).toBe(before.revocations + 1)
    expect(await statusOf(token)).toEqual([
      401,
      expect.stringMatching(/^this login was revoked by ana@example\.com: signed out; sign in again with/) as unknown,
    ])

    const again = await logIn()
    expect(again).toMatchObject({ exitCode: 0 })
    expect(again.stdout).toContain(`You are signed in to ${portal} as ana@example.com, and stay so.`)
    // The browser is still signed in at the issuer, and the same session there does not come back without a proof.
    const why = `${portal} does not take your login: this login was revoked by ana@example.com: signed out. Prove anew who you are.\n`
    expect(again.asked).toBeLessThanOrEqual(2)
    expect(again.stderr.includes(why)).toBe(again.asked === 2)
    if (sessions) expect(again.asked).toBe(2)
    expect((await statusOf(idToken()))[0]).toBe(200)
    expect((await statusOf(token))[0]).toBe(401)

    // What was refreshed of the new login holds, too.
    changeLogin(laptop, portal, { refreshAtMs: 0, expiresAtMs: 0 })
    expect(await laptop.run(['client', 'token'])).toMatchObject({ exitCode: 0, stderr: '' })
    expect((await statusOf(idToken()))[0]).toBe(200)
    expect(await laptop.run(['client', 'whoami'])).toMatchObject({ exitCode: 0 })
  })

  test('client logout with a token that has ended gets another to end what the old one opened', async () => {
    await logIn()
    const streams = await openStreams(idToken())
    changeLogin(laptop, portal, { refreshAtMs: 0, expiresAtMs: 0 })
    expect(await laptop.run(['client', 'logout'])).toMatchObject({ exitCode: 0, stderr: '' })
    const endedAtMs = Date.now()
    expect((await streams.ended) - endedAtMs).toBeLessThan(WITHIN_MS)
  })

  test('a login that is revoked stays out though its refresh token holds, until its person signs in anew', async () => {
    await logIn()
    const streams = await openStreams(idToken())
    expect(await laptop.run(['logins', 'revoke', 'current', '--reason', 'lost'])).toMatchObject({ exitCode: 0 })
    const revokedAtMs = Date.now()
    expect((await streams.ended) - revokedAtMs).toBeLessThan(WITHIN_MS)
    const before = { token: idToken(), refreshes: provider.counts.refreshes }
    await nextSecond()
    changeLogin(laptop, portal, { refreshAtMs: 0, expiresAtMs: 0 })
    expect(await laptop.run(['client', 'token'])).toMatchObject({ exitCode: 0 })
    expect(provider.counts.refreshes).toBe(before.refreshes + 1)
    expect(idToken()).not.toBe(before.token)
    expect(await statusOf(idToken())).toEqual([
      401,
      expect.stringMatching(/^this login was revoked by ana@example\.com: lost; sign in again with/) as unknown,
    ])

    const again = await logIn()
    expect([again.exitCode, again.asked]).toEqual([0, sessions ? 2 : 1])
    expect((await statusOf(idToken()))[0]).toBe(200)
    changeLogin(laptop, portal, { refreshAtMs: 0, expiresAtMs: 0 })
    expect(await laptop.run(['client', 'token'])).toMatchObject({ exitCode: 0, stderr: '' })
    expect((await statusOf(idToken()))[0]).toBe(200)
  })

  test('somebody who was disabled gets no newer token, and is told so', async () => {
    await logIn()
    employed.splice(employed.indexOf(people.ana), 1)
    changeLogin(laptop, portal, { refreshAtMs: 0, expiresAtMs: 0 })
    const { exitCode, stderr } = await laptop.run(['client', 'token'])
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^postern: your login at \S+ has ended \(\S+ answered 400: invalid_grant [^\n]*; run: postern client login [^\n]*\n$/,
      ),
    ])
  })
})

describe('an issuer that tells of the ends of its sessions', () => {
  beforeEach(async () => {
    await start(true)
    browser = createBrowser(provider)
  })

  test('ends within 2 s what was opened with one, and no other', async () => {
    await logIn()
    const token = idToken()
    const gone = await openStreams(token)
    const elsewhere = createBrowser(provider)
    expect(await logIn(people.ana, elsewhere)).toMatchObject({ exitCode: 0, asked: 1 })
    const other = idToken()
    const kept = await openStreams(other)

    const signedOutAtMs = Date.now()
    const page = await signOut(browser, `${provider.issuer}/session/end?client_id=postern`)
    expect([page.status < 400, provider.counts.signOuts]).toEqual([true, 1])
    expect((await gone.ended) - signedOutAtMs).toBeLessThan(WITHIN_MS)
    expect(kept.open).toBe(2)
    expect(await statusOf(token)).toEqual([
      401,
      expect.stringContaining(`this login was revoked by ${provider.issuer}: signed out there`) as unknown,
    ])
    expect((await statusOf(other))[0]).toBe(200)

    // Whoever signs in there again has another session, and need not prove anything twice.
    expect(await logIn()).toMatchObject({ exitCode: 0, asked: 1 })
    expect((await statusOf(idToken()))[0]).toBe(200)
  })
})
