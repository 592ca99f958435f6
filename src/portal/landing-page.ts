import { createHash } from 'node:crypto'

const STYLE =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:12vh auto;padding:0 1rem}pre{overflow:auto}'

/** The CSP source that lets the page's own style pass. */
export const styleHash = `sha256-${createHash('sha256').update(STYLE).digest('base64')}`

/** The page for a person who opens the portal's address in a browser. `publicURL` is an origin. */
export function renderLandingPage(publicURL: string): string {
  const portal = escapeHTML(publicURL)
  return renderDocument(
    'Postern',
    `<h1>Postern</h1>
<p>This is a guarded gate to Kubernetes clusters. You sign in with your organization's account and keep using kubectl;
what you may do is decided for each request, and every request is recorded.</p>
<p>Sign in, then write the clusters that you may reach to your kubeconfig:</p>
<pre><code>postern client login --portal ${portal}
postern client kubeconfig set --portal ${portal}</code></pre>
<p>From then on: <code>kubectl config get-contexts</code></p>`,
  )
}

/** A page with one thing to say to a person. Title and text are plain text. */
export function renderPage({ title, text }: { readonly title: string; readonly text: string }): string {
  return renderDocument(`Postern: ${escapeHTML(title)}`, `<h1>${escapeHTML(title)}</h1>\n<p>${escapeHTML(text)}</p>`)
}

function renderDocument(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`
}

function escapeHTML(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
