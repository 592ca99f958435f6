import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test, vi } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { type Chromium, startChromium } from '../../sandbox/chromium.ts'
import { type Connector, startConnector } from '../../sandbox/connector.ts'
import { type IdentityProvider, startIdentityProvider } from '../../sandbox/identity-provider.ts'
import { people } from '../../sandbox/identity-provider/people.ts'
import { type KubectlResult, runKubectl } from '../../sandbox/kubectl.ts'
import { giveBrowser } from '../support/kept-login.ts'
import { createLaptop, type Laptop } from '../support/postern-command.ts'

/** A person with a real browser: what they see, press and type in a login, from the address that a command opens. */

const { controlPlane, directory: shared } = inject('surroundings')
const directory = join(shared, 'browser-login')
/** For a command to open an address; machines are busy. */
const patienceMs = 60_000

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: payments }
spec:
  subjects: { groups: [payments-dev] }
  rules: [{ verbs: [get, list], resources: [pods], namespaces: [payments] }]
`

let provider: IdentityProvider
let connector: Connector
let chromium: Chromium
let laptop: Laptop
let screen: ReturnType<typeof giveBrowser>
let page: Page
/** What pages held that their own Content-Security-Policy forbids. */
let violations: string[]

beforeAll(async () => {
  const authority = createCertificateAuthority()
  await mkdir(directory)
  await writeFile(join(directory, 'policy.yaml'), POLICY)
  ;[provider, chromium] = await Promise.all([
    startIdentityProvider({ tls: { ...authority.issueServer(), ca: authority.certificate } }),
    startChromium([authority.certificate]),
  ])
  connector = await startConnector(directory, {
    sockets: [{ name: 'production', upstream: { kubeconfig: { path: controlPlane.adminKubeconfig } } }],
    policies: ['policy.yaml'],
    issuer: {
      url: provider.issuer,
      certificateAuthority: provider.certificateAuthority,
      clientID: provider.clientId,
      deviceAuthorization: true,
    },
  })
  await connector.ready()
})
afterAll(async () => {
  await connector.stop()
  await chromium.stop()
  await provider.stop()
})
beforeEach(async () => {
  laptop = createLaptop()
  screen = giveBrowser(laptop)
  page = await chromium.newPage()
  violations = []
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) violations.push(message.text())
  })
})
afterEach(async () => {
  laptop.dispose()
  await page.close()
  expect(violations).toEqual([])
  expect(provider.errors).toEqual([])
})

function startLogin(...more: string[]): ReturnType<Laptop['start']> {
  const portal = ['--portal', connector.portalURL, '--certificate-authority', connector.certificateAuthority.path]
  return laptop.start(['client', 'login', ...portal, ...more], screen.env)
}

/** Opens in the browser what commands opened on the laptop's screen, of which this is the first, second, ... */
async function openAddress(index: number): Promise<void> {
  await page.goto(await vi.waitUntil(() => screen.opened()[index] ?? '', patienceMs))
}

async function signIn({ login, password } = people.ana): Promise<void> {
  await page.getByLabel('Login').fill(login)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** The text of the page that the browser comes to, once it has this heading, and a title to match. */
async function arrivedAt(heading: string, title = heading): Promise<string> {
  await page.getByRole('heading', { name: heading, exact: true }).waitFor()
  expect(await page.title()).toBe(title)
  return page.locator('body').innerText()
}

const kubectl = (...argv: string[]): Promise<KubectlResult> =>
  runKubectl(
    {
      kubectl: controlPlane.kubectl,
      kubeconfig: laptop.kubeconfig,
      env: { HOME: laptop.home, XDG_CACHE_HOME: join(laptop.home, 'cache') },
    },
    argv,
  )

test('a person signs in where their browser opens, reads that they are signed in, and uses kubectl', async () => {
  const login = startLogin()
  await openAddress(0)
  await signIn()
  const text = await arrivedAt('You are signed in', 'Postern: You are signed in')
  expect(text).toContain(`You are ana@example.com at ${connector.portalURL}.`)
  expect(text).toContain('You can close this window and go back to the terminal.')
  expect(await login.result).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(`You are signed in to ${connector.portalURL} as ana@example.com`) as string,
  })

  expect(await laptop.run(['client', 'kubeconfig', 'set', '--all'])).toMatchObject({ exitCode: 0 })
  expect(await kubectl('get', 'pods', '--namespace=payments', '--output=name')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^pod\/ledger-\S+\n$/) as string,
    stderr: '',
  })
  expect(await kubectl('get', 'pods', '--namespace=default')).toMatchObject({ code: 1, stdout: '' })
})

test('a person whose browser is signed in already is asked before a program gets their tokens, and may refuse', async () => {
  const first = startLogin()
  await openAddress(0)
  await signIn()
  expect(await first.result).toMatchObject({ exitCode: 0 })

  const second = startLogin()
  await openAddress(1)
  await page.getByRole('button', { name: 'Continue as ana@example.com' }).click()
  await arrivedAt('You are signed in', 'Postern: You are signed in')
  expect(await second.result).toMatchObject({ exitCode: 0 })

  const third = startLogin()
  await openAddress(2)
  await page.getByRole('button', { name: 'Cancel' }).click()
  const text = await arrivedAt('The login failed', 'Postern: The login failed')
  const { exitCode, stdout, stderr } = await third.result
  expect([exitCode, stdout]).toEqual([1, ''])
  const line = `${provider.issuer} refused the login: access_denied (the person said no)`
  expect(text).toContain(line)
  expect(stderr).toContain(`postern: ${line}; sign in again, or ask whoever runs it\n`)
})

test('with --no-browser a person opens the printed address, and a password may be wrong at first', async () => {
  const login = startLogin('--no-browser')
  const [, address = ''] = await login.line(/^Sign in at: (.*)$/m)
  await page.goto(address)
  await signIn({ ...people.ana, password: 'guessed' })
  await page.getByRole('alert').waitFor()
  await signIn()
  await arrivedAt('You are signed in', 'Postern: You are signed in')
  expect(await login.result).toMatchObject({ exitCode: 0 })
  expect(screen.opened()).toEqual([])
})

test('with --device a person types the code that the terminal shows into any browser', async () => {
  const login = startLogin('--device')
  const [, address = ''] = await login.line(/^Sign in at: (.*)$/m)
  const [, code = ''] = await login.line(/^Its page shows or asks for the code: (.*)$/m)
  // Not the address with the code in it: on another device it is typed, too.
  await page.goto(address.replace(/\?.*/, ''))
  await page.getByRole('textbox').fill(code)
  await page.getByRole('button', { name: 'Continue' }).click()
  expect(await page.locator('body').innerText()).toContain(`Postern shows the code ${code}`)
  await page.getByRole('button', { name: 'Allow' }).click()
  await signIn(people.omar)
  await arrivedAt('The device is signed in')
  expect(await login.result).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('as omar@example.com') as string,
  })
  expect(screen.opened()).toEqual([])
})

test('a person who signs out everywhere is asked for their password again', async () => {
  const login = startLogin()
  await openAddress(0)
  await signIn()
  expect(await login.result).toMatchObject({ exitCode: 0 })

  const logout = await laptop.run(['client', 'logout', '--end-session'], screen.env)
  expect(logout).toMatchObject({ exitCode: 0, stdout: `You are signed out of ${connector.portalURL}.\n` })
  await openAddress(1)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await arrivedAt('Signed out')

  const again = startLogin()
  await openAddress(2)
  expect(await page.getByRole('button').allInnerTexts()).toEqual(['Sign in', 'Cancel'])
  await signIn()
  await arrivedAt('You are signed in', 'Postern: You are signed in')
  expect(await again.result).toMatchObject({ exitCode: 0 })
})
