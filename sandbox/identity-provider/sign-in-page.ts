import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import type { Person } from './people.ts'

/** Path of the page for one authorization request. */
export const signInPath = (interactionId: string): string => `${SIGN_IN_PREFIX}${interactionId}`

/** True when the page below answers a path. */
export const isSignInPath = (path: string): boolean => path.startsWith(SIGN_IN_PREFIX)

const SIGN_IN_PREFIX = '/sign-in/'
const MAX_FORM_BYTES = 4096

/**
 * Shows the sign-in form and takes it back. A person who is signed in already may go on with one button, so
 * that no program on their machine gets tokens unseen (RFC 8252 section 8.6).
 */
export async function serveSignIn(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response)
  const signedIn = people.find(({ subject }) => subject === interaction.session?.accountId)
  const mayGoOn = interaction.prompt.name === 'consent'
  const render = (problem: string): void => {
    const page = renderPage({ action: signInPath(interaction.uid), problem, signedIn: mayGoOn ? signedIn : undefined })
    response.writeHead(problem === '' ? 200 : 403, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'cache-control': 'no-store',
    })
    response.end(page)
  }

  if (request.method !== 'POST') {
    render('')
    return
  }
  const form = await readForm(request)
  if (form.has('continue') && mayGoOn && signedIn !== undefined) {
    await provider.interactionFinished(request, response, { consent: {} })
    return
  }
  if (form.has('cancel')) {
    const refusal = { error: 'access_denied', error_description: 'the person said no' }
    await provider.interactionFinished(request, response, refusal)
    return
  }
  const person = people.find(({ login, password }) => login === form.get('login') && password === form.get('password'))
  if (person === undefined) render('That is not the password of anybody here.')
  else await provider.interactionFinished(request, response, { login: { accountId: person.subject }, consent: {} })
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_FORM_BYTES) throw new RangeError(`the form is longer than ${MAX_FORM_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}

interface PageContent {
  readonly action: string
  readonly problem: string
  readonly signedIn: Person | undefined
}

function renderPage({ action, problem, signedIn }: PageContent): string {
  const form = `<form method="post" action="${escapeHtml(action)}">`
  return document(
    'Sign in',
    `${problem === '' ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
    ${signedIn === undefined ? '' : `${form}<button name="continue" value="yes">Continue as ${escapeHtml(signedIn.login)}</button></form><p>or</p>`}
    ${form}
      <label>Login <input name="login" type="email" autocomplete="username" required></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
      <button name="cancel" value="yes" formnovalidate>Cancel</button>
    </form>`,
  )
}

/** A whole page of the identity provider. `body` is HTML; `title` is text. */
export function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>${escapeHtml(title)}</title>
    <style>
      body { font: 1rem/1.5 system-ui, sans-serif; max-width: 20rem; margin: 15vh auto; padding: 0 1rem }
      label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; margin-bottom: .75rem }
      input, button { padding: .5rem }
      [role=alert] { color: #b00020 }
    </style>
  </head>
  <body>
    <h1>${escapeHtml(title)}</h1>
    ${body}
  </body>
</html>
`
}

/** Makes text safe between tags and inside double quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
