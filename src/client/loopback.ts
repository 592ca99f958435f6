import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
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

/** Waits on a port of 127.0.0.1 for one browser to come back. */
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

/** Listens on any free port; the caller closes. `path` begins with a slash. @see RFC 8252 section 7.3 */
export async function listenOnLoopback(path: string, state: string): Promise<LoopbackListener> {
  const arrived = Promise.withResolvers<Callback>()
  let used = false
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    const url = new URL(request.url ?? '/', origin())
    if (request.headers.host !== url.host || url.pathname !== path || request.method !== 'GET' || used) {
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
  const origin = (): string => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    redirectURI: `${origin()}${path}`,
    callback: async (timeoutMs) => {
      const timer = setTimeout(() => {
        const minutes = Math.round(timeoutMs / 60_000)
        arrived.reject(new ClientError('LoginTimedOut', `nobody signed in within ${minutes} minutes; sign in again`))
      }, timeoutMs)
      try {
        return await arrived.promise
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
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
