import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { loginFiles } from '../../src/client/login-cache.ts'
import { startPortal, type StartedPortal } from '../support/portal.ts'
import { createLaptop, type CommandResult, type Laptop } from '../support/postern-command.ts'
import { startStagedIssuer, type StagedIssuer } from '../support/staged-issuer.ts'

// Attack E18.
//
// Somebody makes a browser come back with a code that is not of this login: one that another issuer gave, which the
// command would then show to the wrong one (RFC 9207), or one of their own, which would sign the person in as them.

let honest: StagedIssuer
let other: StagedIssuer
let portal: StartedPortal
let laptop: Laptop
/** Forms that the token endpoints got, of either. */
let traded: URLSearchParams[]
let nonce: string

beforeAll(async () => {
  ;[honest, other] = await Promise.all([startStagedIssuer(), startStagedIssuer()])
  for (const issuer of [honest, other]) {
    Object.assign(issuer.discovery, {
      authorization_endpoint: `${issuer.url}/authorize`,
      token_endpoint: `${issuer.url}/token`,
      authorization_response_iss_parameter_supported: true,
      id_token_signing_alg_values_supported: ['ES256'],
    })
    issuer.staged.set('/token', (request, response) => {
      void Promise.all([text(request), issuer.sign({ nonce })]).then(([body, idToken]) => {
        traded.push(new URLSearchParams(body))
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ access_token: 'a', token_type: 'Bearer', id_token: idToken }))
      })
    })
  }
  const claimMappings = {
    username: { claim: 'email', prefix: 'other:' },
    groups: { claim: 'groups', prefix: 'other:' },
  }
  portal = await startPortal({ issuers: [honest.options(), other.options({ claimMappings })] })
})
afterAll(async () => {
  await Promise.all([portal.stop(), honest.close(), other.close()])
})
beforeEach(() => {
  laptop = createLaptop()
  traded = []
})
afterEach(() => {
  laptop.dispose()
})

/** Signs in at the honest issuer; gives back what it was asked, too. */
async function comeBack(
  parameters: Record<string, string>,
  nonceOf: (asked: URLSearchParams) => string,
): Promise<CommandResult & { readonly asked: URLSearchParams }> {
  const authority = join(laptop.home, 'ca.crt')
  writeFileSync(authority, portal.certificateAuthority)
  const command = laptop.start([
    ...['client', 'login', '--portal', portal.url, '--certificate-authority', authority],
    ...['--issuer', honest.url, '--no-browser'],
  ])
  const [, address = ''] = await command.line(/^Sign in at: (.*)$/m)
  const asked = new URL(address).searchParams
  nonce = nonceOf(asked)
  const back = new URL(asked.get('redirect_uri') ?? '')
  back.search = new URLSearchParams({ code: 'a-code', state: asked.get('state') ?? '', ...parameters }).toString()
  await (await fetch(back)).text()
  return { ...(await command.result), asked }
}
const own = (asked: URLSearchParams): string => asked.get('nonce') ?? ''

test.for([
  ['of the other issuer', () => ({ iss: other.url })],
  ['of an issuer that nobody knows', () => ({ iss: 'https://evil.example.com' })],
  ['of almost the same issuer', () => ({ iss: `${honest.url}/` })],
  ['of nobody, though the issuer names itself', () => ({})],
] as const)('a code %s is shown to no issuer', async ([, parameters]) => {
  const { exitCode, stdout } = await comeBack(parameters(), own)
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(traded).toEqual([])
  expect(loginFiles(laptop.cacheDirectory)).toEqual([])
})

test('a code of somebody else’s login comes with another nonce, and the gateway never sees its token', async () => {
  const shown = portal.seen.length
  const { exitCode, stderr } = await comeBack({ iss: honest.url }, () => 'of-another-login')
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('nonce')])
  expect(portal.seen.slice(shown)).toEqual(['GET /.well-known/postern'])
  expect(loginFiles(laptop.cacheDirectory)).toEqual([])
})

test('a code of this login is shown to its issuer alone, with the verifier that goes with it', async () => {
  const { exitCode, asked } = await comeBack({ iss: honest.url }, own)
  expect(exitCode).toBe(0)
  const [form] = traded
  expect(traded).toHaveLength(1)
  expect(other.seen).not.toContain('/token')
  const challenge = createHash('sha256')
    .update(form?.get('code_verifier') ?? '')
    .digest('base64url')
  expect([form?.get('code'), challenge]).toEqual(['a-code', asked.get('code_challenge')])
})
