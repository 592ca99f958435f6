import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attack E19.
//
// While a login waits, a port of the person's own machine takes a code. Whoever reaches it could end that login with a
// code of theirs: a page in the person's browser by a name that resolves to this machine (DNS rebinding), another account
// on the machine, a program that finds the port.

let issuer: StagedIssuer
let portal: StartedPortal
let laptop: Laptop

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
    id_token_signing_alg_values_supported: ['ES256'],
  })
  portal = await startPortal({ issuers: [issuer.options()] })
})
afterAll(async () => {
  await Promise.all([portal.stop(), issuer.close()])
})
beforeEach(() => {
  laptop = createLaptop()
  issuer.seen.splice(0)
})
afterEach(() => {
  laptop.dispose()
})

/** What the port answers to these bytes; empty when nobody is there. */
async function say(port: number, bytes: string, address = '127.0.0.1'): Promise<string> {
  const socket = connect(port, address)
  socket.end(bytes)
  return text(socket).catch(() => '')
}

test('only the browser that was sent comes back, to this machine only, and once', async () => {
  const authority = join(laptop.home, 'ca.crt')
  writeFileSync(authority, portal.certificateAuthority)
  const command = laptop.start([
    ...['client', 'login', '--portal', portal.url, '--certificate-authority', authority, '--no-browser'],
  ])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const asked = new URL(address).searchParams
  const back = new URL(asked.get('redirect_uri') ?? '')
  const [port, state] = [Number(back.port), asked.get('state') ?? '']
  const target = `${back.pathname}?code=of-the-attacker&state=${state}`
  expect(back.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}$/)
  expect(state).toMatch(/^[\w-]{43}$/)

  const evil = `evil.example.com:${port}`
  const attempts: readonly (readonly [string, string])[] = [
    [`GET ${target}`, evil],
    [`GET ${target}`, 'evil.example.com'],
    [`GET ${target}`, `localhost:${port}`],
    [`GET //${evil}${target}`, evil],
    [`GET /\\\\${evil}${target}`, evil],
    [`GET http://${evil}${target}`, evil],
    [`GET http://${evil}${target}`, back.host],
    [`GET http://${back.host}${target}`, back.host],
    [`GET //${back.host}${target}`, back.host],
    [`GET /x/..${target}`, back.host],
    [`POST ${target}`, back.host],
    [`GET /?code=of-the-attacker&state=${state}`, back.host],
    [`GET ${back.pathname}?code=of-the-attacker`, back.host],
    [`GET ${back.pathname}?code=of-the-attacker&state=${state}x`, back.host],
  ]
  for (const [line, host] of attempts) {
    const answer = await say(port, `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect.soft(answer, `${line} for ${host}`).toMatch(/^HTTP\/1\.1 40[04] /)
  }
  const request = `GET ${target} HTTP/1.1\r\nHost: ${back.host}\r\nConnection: close\r\n\r\n`
  const others = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  for (const { address: own, internal, scopeid } of others)
    if (!internal) expect(await say(port, request, scopeid ? `${own}%${scopeid}` : own)).toBe('')
  expect(issuer.seen).not.toContain('/token')

  const idToken = await issuer.sign({ nonce: asked.get('nonce') })
  issuer.staged.set('/token', (_request, response) => {
    const tokens = { access_token: 'a', token_type: 'Bearer', id_token: idToken }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens))
  })
  back.search = new URLSearchParams({ code: 'the-code', state }).toString()
  expect(await (await fetch(back)).text()).toContain('You are signed in')
  expect(await command.result).toMatchObject({ exitCode: 0 })
  expect(await say(port, request)).toBe('')
  expect(issuer.seen.filter((path) => path === '/token')).toHaveLength(1)
})
