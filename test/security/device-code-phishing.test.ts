import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { loginFiles } from '../../src/client/login-cache.ts'
import { giveBrowser } from '../support/kept-login.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attack E20.
//
// Somebody begins a login with a code and sends the code to a person, who types it in and so signs them in (RFC 8628
// section 5.4). No code is asked for unless the operator allows it, and who is shown one reads whose it is.

let issuer: StagedIssuer
let strict: StartedPortal
let allowing: StartedPortal
let laptop: Laptop

beforeAll(async () => {
  issuer = await startStagedIssuer()
  Object.assign(issuer.discovery, {
    token_endpoint: `${issuer.url}/token`,
    device_authorization_endpoint: `${issuer.url}/device`,
    id_token_signing_alg_values_supported: ['ES256'],
  })
  strict = await startPortal({ issuers: [issuer.options()] })
  const { client } = issuer.options()
  allowing = await startPortal({ issuers: [issuer.options({ client: { ...client, deviceAuthorization: true } })] })
})
afterAll(async () => {
  await Promise.all([strict.stop(), allowing.stop(), issuer.close()])
})
beforeEach(() => {
  laptop = createLaptop()
  issuer.seen.splice(0)
  const answer = (status: number, body: object) => (_request: unknown, response: Parameters<Answer>[1]) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  const device = { device_code: 'd', user_code: 'WDJB-MJHT', verification_uri: 'https://sso.example.com/device' }
  issuer.staged.set('/device', answer(200, { ...device, expires_in: 600, interval: 0.01 }))
  issuer.staged.set('/token', answer(400, { error: 'access_denied' }))
})
afterEach(() => {
  laptop.dispose()
})

type Answer = NonNullable<ReturnType<StagedIssuer['staged']['get']>>

function loginArguments(portal: StartedPortal): string[] {
  const authority = join(laptop.home, 'ca.crt')
  writeFileSync(authority, portal.certificateAuthority)
  return ['client', 'login', '--portal', portal.url, '--certificate-authority', authority, '--device']
}

test('no code is asked for where the operator does not allow it, though the issuer does', async () => {
  const { exitCode, stdout } = await laptop.run(loginArguments(strict))
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(issuer.seen).not.toContain('/device')
})

test('whoever is shown a code reads which client and issuer it is for, and to give it to nobody', async () => {
  const browser = giveBrowser(laptop)
  const { exitCode, stderr } = await laptop.run(loginArguments(allowing), browser.env)
  expect(stderr.split('\n')).toEqual([
    'Sign in at: https://sso.example.com/device',
    'Its page shows or asks for the code: WDJB-MJHT',
    `It is for the client "postern" of ${issuer.url}; give the code to nobody.`,
    `postern: ${issuer.url} refused the login: access_denied; sign in again, or ask whoever runs it`,
    '',
  ])
  expect([exitCode, browser.opened(), loginFiles(laptop.cacheDirectory)]).toEqual([1, [], []])
})

test('no kubectl asks for a code by itself', async () => {
  const interactive = '{"apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}'
  const args = ['client', 'token', '--portal', allowing.url]
  expect(await laptop.run(args, { KUBERNETES_EXEC_INFO: interactive })).toMatchObject({ exitCode: 1, stdout: '' })
  expect(issuer.seen).toEqual([])
})
