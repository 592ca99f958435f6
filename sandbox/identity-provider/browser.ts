import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Person } from './people.ts'

/** What the scripted person and their browser need to know of a provider. */
export interface TrustedProvider {
  readonly issuer: string
  /** PEM. */
  readonly certificateAuthority: string
}

export interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const MAX_STEPS = 15
const MAX_PAGE_BYTES = 1024 * 1024
const PAGE_TIMEOUT_MS = 10_000

/**
 * Does what a person with a fresh browser does: opens the authorization URL, fills in the form, follows the
 * redirects, and ends on the loopback page of the program that asked. Gives back that page. A browser that is given may be
 * signed in already.
 *
 * @throws Error when the provider refuses the password or the request; the text of its page is in the message.
 */
export async function signIn(
  provider: TrustedProvider,
  person: Person,
  authorizationUrl: string | URL,
  browser = createBrowser(provider),
): Promise<Page> {
  return browser.open(await arriveAtCallback(browser, person, new URL(authorizationUrl)))
}

/** Does what the person does whose browser is signed in: opens the page to sign out, and says yes. Gives back the last page. */
export async function signOut(browser: Browser, endSessionUrl: string): Promise<Page> {
  const asked = parseForm(await browser.open(new URL(endSessionUrl)))
  if (asked === undefined) throw new Error('the identity provider asks nobody whether to sign out')
  asked.fields.set('logout', 'yes')
  return browser.open(asked.action, asked.fields)
}

/** As {@link signIn}, but stops short of the callback and gives back its URL with `code` and `state`. */
export function authorize(provider: TrustedProvider, person: Person, authorizationUrl: string | URL): Promise<URL> {
  return arriveAtCallback(createBrowser(provider), person, new URL(authorizationUrl))
}

/**
 * Does what a person does who was shown a code on another device: opens the address, allows or denies it, signs in. Gives
 * back the last page.
 */
export async function answerDevice(
  provider: TrustedProvider,
  person: Person,
  verificationUrl: string,
  answer: 'allow' | 'deny',
): Promise<Page> {
  const browser = createBrowser(provider)
  let page = await browser.open(new URL(verificationUrl))
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const next = locationOf(page)
    const form = next === undefined ? parseForm(page) : undefined
    if (next === undefined && form === undefined) return page
    if (form?.fields.has('confirm') === true && answer === 'deny') form.fields.set('abort', 'yes')
    if (form?.fields.has('password') === true) fillIn(form.fields, person)
    page = await (form === undefined ? browser.open(next ?? page.url) : browser.open(form.action, form.fields))
    if (form?.fields.has('abort') === true) return page
  }
  throw new Error(`more than ${MAX_STEPS} steps to sign in`)
}

function fillIn(fields: URLSearchParams, person: Person): void {
  fields.set('login', person.login)
  fields.set('password', person.password)
}

async function arriveAtCallback(browser: Browser, person: Person, start: URL): Promise<URL> {
  let page = await browser.open(start)
  let filledIn = false
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const next = locationOf(page)
    // A portal that speaks to the provider is passed through; a program on the person's machine is at http.
    if (next?.protocol === 'http:') return next
    if (next !== undefined) {
      page = await browser.open(next)
      continue
    }
    const form = parseForm(page)
    if (form?.fields.has('password') !== true || filledIn)
      throw new Error(`the identity provider answered ${page.status}: ${textOf(page)}`)
    filledIn = true
    fillIn(form.fields, person)
    page = await browser.open(form.action, form.fields)
  }
  throw new Error(`more than ${MAX_STEPS} steps to sign in`)
}

export interface Browser {
  /** GET, or POST when there is a form to send. Redirects are given back, not followed. */
  open(url: URL, form?: URLSearchParams): Promise<Page>
}

/** Keeps cookies as a browser does: by host, path and name. */
export function createBrowser({ certificateAuthority }: TrustedProvider): Browser {
  const cookies = new Map<string, { readonly host: string; readonly path: string; readonly pair: string }>()

  const keep = (url: URL, headers: readonly string[]): void => {
    for (const header of headers) {
      const [pair = '', ...attributes] = header.split(';').map((part) => part.trim())
      const attribute = (name: string): string | undefined =>
        attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1)
      const path = attribute('path') ?? '/'
      const name = pair.slice(0, pair.indexOf('='))
      const key = `${url.host} ${path} ${name}`
      const expires = attribute('expires')
      if (expires !== undefined && Date.parse(expires) <= Date.now()) cookies.delete(key)
      else cookies.set(key, { host: url.host, path, pair })
    }
  }
  const cookiesFor = (url: URL): string =>
    [...cookies.values()]
      .filter(({ host, path }) => host === url.host && isUnder(url.pathname, path))
      .map(({ pair }) => pair)
      .join('; ')

  return {
    async open(url, form) {
      const headers: Record<string, string> = { accept: 'text/html', cookie: cookiesFor(url) }
      if (form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
      const page = await exchange({ url, certificateAuthority, headers, body: form?.toString() })
      keep(url, page.headers['set-cookie'] ?? [])
      return page
    },
  }
}

export interface ExchangeOptions {
  readonly url: URL
  readonly certificateAuthority: string
  readonly headers: Record<string, string>
  /** Makes it a POST. */
  readonly body: string | undefined
}

/** One request on a connection of its own, verified against the authority, and its whole answer. */
export async function exchange({ url, certificateAuthority, headers, body }: ExchangeOptions): Promise<Page> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    agent: false,
    signal: AbortSignal.timeout(PAGE_TIMEOUT_MS),
  }
  const request =
    url.protocol === 'https:'
      ? httpsRequest(url, { ...options, ca: certificateAuthority }, resolve)
      : httpRequest(url, options, resolve)
  request.once('error', reject).end(body)
  const response = await promise
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_PAGE_BYTES) throw new Error(`${url.origin}${url.pathname} is longer than ${MAX_PAGE_BYTES} bytes`)
    chunks.push(chunk)
  }
  return {
    url,
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

function isUnder(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
}

function locationOf(page: Page): URL | undefined {
  const { location } = page.headers
  return page.status >= 300 && page.status < 400 && location !== undefined ? new URL(location, page.url) : undefined
}

/** The last form of a page, which on the sign-in page is the one with the password. */
function parseForm(page: Page): { readonly action: URL; readonly fields: URLSearchParams } | undefined {
  const form = [...page.body.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].at(-1)
  if (form === undefined) return undefined
  const [, attributes = '', content = ''] = form
  const fields = new URLSearchParams()
  for (const [input] of content.matchAll(/<input\b[^>]*>/g)) {
    const name = attributeOf(input, 'name')
    if (name !== undefined) fields.set(name, attributeOf(input, 'value') ?? '')
  }
  return { action: new URL(attributeOf(attributes, 'action') ?? '', page.url), fields }
}

function attributeOf(tag: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&')
}

function textOf(page: Page): string {
  const body = page.body.replace(/^.*<body>/s, '').replaceAll(/<[^>]*>/g, ' ')
  return body.replaceAll(/\s+/g, ' ').trim()
}
