import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ClientError } from './client-error.ts'

/** The browser came back from the identity provider. */
interface Callback {
  readonly url: URL
  /** Shows the person how it ended. To be called once; resolves when the page is sent. */
  answer(page: Page): Promise<void>
}

interface Page {
  readonly status: number
  readonly title: string
  readonly text: string
}

/** Where a browser may come back to. */
export interface RedirectTarget {
  /** `localhost` listens on 127.0.0.1 and ::1 at once, since browsers take either. */
  readonly host: '127.0.0.1' | '::1' | 'localhost'
  /** Begins with a slash. */
  readonly path: string
  /** The first that is free is taken; empty for any free port. */
  readonly ports: readonly number[]
}

/** Waits on a port of this machine for one browser to come back. */
export interface LoopbackListener {
  readonly redirectURI: string
  /**
   * Resolves at the first request to the path with the right state; all others are refused.
   *
   * @throws ClientError `LoginTimedOut`.
   */
  callback(timeoutMs: number): Promise<Callback>
  /** Frees the port at once. */
  close(): void
}

const MAX_HEADER_BYTES = 16 * 1024

/**
 * Listens on loopback addresses only; the caller closes.
 *
 * @throws ClientError `PortBlocked`.
 * @see RFC 8252 section 7.3
 */
export async function listenOnLoopback(target: RedirectTarget, state: string): Promise<LoopbackListener> {
  const arrived = Promise.withResolvers<Callback>()
  let used = false
  let host = ''
  const { servers, port } = await listen(target, (request, response) => {
    const [path, query] = divide(request.url ?? '')
    // As they stand in the request: what would have to be resolved first, a browser that we sent does not ask for.
    const isOurs = request.headers.host === host && path === target.path && request.method === 'GET'
    const url = isOurs ? URL.parse(`http://${host}${path}${query}`) : null
    if (url === null || used) {
      void send(response, { status: 404, title: 'Not here', text: 'There is nothing at this address.' })
    } else if (!isSame(url.searchParams.get('state') ?? '', state)) {
      void send(response, {
        status: 400,
        title: 'Not your login',
        text: 'This answer does not belong to the login that is waiting. Go back to the terminal and use the address there.',
      })
    } else {
      used = true
      arrived.resolve({ url, answer: (page) => send(response, page) })
    }
  })
  host = `${target.host === '::1' ? '[::1]' : target.host}:${port}`

  return {
    redirectURI: `http://${host}${target.path}`,
    callback: async (timeoutMs) => {
      const timer = setTimeout(() => {
        arrived.reject(new ClientError('LoginTimedOut', `nobody signed in within ${Math.round(timeoutMs / 1000)} s`))
      }, timeoutMs)
      try {
        return await arrived.promise
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => {
      for (const server of servers) close(server)
    },
  }
}

/** A target before its query, and the query with its question mark. */
function divide(target: string): readonly [path: string, query: string] {
  const end = target.includes('?') ? target.indexOf('?') : target.length
  return [target.slice(0, end), target.slice(end)]
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** How often another port is tried where any will do, and one of the two addresses has it taken. */
const ATTEMPTS = 5
const ANY_PORT: readonly number[] = Array<number>(ATTEMPTS).fill(0)

async function listen(
  { host, ports }: RedirectTarget,
  handler: Handler,
): Promise<{ readonly servers: readonly Server[]; readonly port: number }> {
  let blocked = ''
  for (const wanted of ports.length === 0 ? ANY_PORT : ports) {
    const servers: Server[] = []
    let port = wanted
    let failure = ''
    for (const address of host === 'localhost' ? ['127.0.0.1', '::1'] : [host]) {
      const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, handler)
      try {
        server.listen(port, address)
        await once(server, 'listening')
        port = (server.address() as AddressInfo).port
        servers.push(server)
      } catch (error) {
        failure = codeOf(error)
        // A machine without IPv6 has nobody else at that address either.
        if (ABSENT.includes(failure) && servers.length > 0) failure = ''
        if (failure !== '') break
      }
    }
    if (failure === '') return { servers, port }
    for (const server of servers) close(server)
    blocked = failure
  }
  const which = ports.length === 0 ? `no port of ${host}` : `none of the ports ${ports.join(', ')} of ${host}`
  const names = ports.length === 0 ? '' : ', which are all that the identity provider knows'
  throw new ClientError(
    'PortBlocked',
    `${which} can be listened on (${blocked})${names}; free one of them and sign in again`,
  )
}

const ABSENT = ['EADDRNOTAVAIL', 'EAFNOSUPPORT']

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
}

function close(server: Server): void {
  server.close()
  server.closeAllConnections()
}

/** Both are hashed, so that neither length nor content shows in the time it takes. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}

const STYLE = 'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:18vh auto;padding:0 1rem}'
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

async function send(response: ServerResponse, page: Page): Promise<void> {
  response.writeHead(page.status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  })
  const sent = once(response, 'close')
  response.end(renderPage(page))
  await sent
}

function renderPage({ title, text }: Page): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Postern: ${escapeHTML(title)}</title><style>${STYLE}</style></head>
<body><h1>${escapeHTML(title)}</h1><p>${escapeHTML(text)}</p></body>
</html>
`
}

function escapeHTML(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
