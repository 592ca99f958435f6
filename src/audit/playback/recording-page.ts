import { createHash } from 'node:crypto'
import { escapeCharacter } from '../../kube/quote.ts'
import type { AsciicastEvent, AsciicastHeader } from './asciicast-reader.ts'
import {
  CONNECTION_COLUMNS,
  connectionCells,
  FILE_COLUMNS,
  fileCells,
  recordingFacts,
  renderTime,
} from './recording-facts.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'

/** The asciinema-player: its script, which defines `AsciinemaPlayer`, and its style sheet. */
export interface PlayerAssets {
  readonly script: string
  readonly style: string
}

const PAGE_STYLE = `
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.5rem}
dt{opacity:.7}
dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
table{border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;padding:.15rem 1.5rem .15rem 0;vertical-align:top;overflow-wrap:anywhere}
#player{margin:1.5rem 0}
`

const PAGE_SCRIPT = `
AsciinemaPlayer.create(
  { data: document.getElementById('recording').textContent.trim() },
  document.getElementById('player'),
  { fit: 'width', idleTimeLimit: 2, preload: true },
)
`

/**
 * One page that plays a recording in any browser, from a file and offline: it holds the player, and its policy lets it
 * load and send nothing. Whatever the session's people and programs wrote stands in it as text.
 *
 * @param events as they are to be played, {@link sanitizedEvents} for one.
 * @throws TypeError when the player's files would not stay inside their elements.
 */
export async function* recordingPage(
  manifest: RecordingManifest,
  header: AsciicastHeader,
  events: AsyncIterable<AsciicastEvent>,
  player: PlayerAssets,
): AsyncGenerator<string> {
  const plays = manifest.session.kind !== 'portforward'
  const scripts = plays ? [inline(player.script, 'script'), PAGE_SCRIPT] : []
  const styles = [inline(player.style, 'style'), PAGE_STYLE]
  const { session } = manifest
  const title = `${session.username} in ${session.namespace}/${session.pod}, ${renderTime(session.startedAtMs)}`
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(scripts, styles)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>${text(title)}</title>
${styles.map((style) => `<style>${style}</style>`).join('\n')}
</head>
<body>
<h1>${text(title)}</h1>
${plays ? '<div id="player"></div>' : ''}
<dl>
${recordingFacts(manifest)
  .map(({ label, value }) => `<dt>${text(label)}</dt><dd>${text(value)}</dd>`)
  .join('\n')}
</dl>
${table('Files', FILE_COLUMNS, manifest.files.map(fileCells), manifest.droppedFiles)}
${table('Connections', CONNECTION_COLUMNS, manifest.connections.map(connectionCells), manifest.droppedConnections)}
`
  if (plays) {
    yield `<script type="application/x-asciicast" id="recording">
${embedded({ version: 2, width: header.width || 80, height: header.height || 24 })}
`
    let endMs = manifest.outcome === null ? 0 : manifest.outcome.endedAtMs - session.startedAtMs
    for await (const { timeMs, code, data } of events) {
      yield `${embedded([timeMs / 1000, code, data])}\n`
      endMs = Math.max(endMs, timeMs)
    }
    // The player takes a recording without events for a broken one.
    yield `${embedded([Math.max(0, endMs) / 1000, 'o', ''])}\n</script>\n`
  }
  yield `${scripts.map((script) => `<script>${script}</script>`).join('\n')}
</body>
</html>
`
}

/** Nothing from anywhere, and of what is here only these. The player's terminal is WebAssembly that its script holds. */
function policy(scripts: readonly string[], styles: readonly string[]): string {
  const sources = (texts: readonly string[]): string => texts.map((one) => `'sha256-${digest(one)}'`).join(' ')
  return [
    "default-src 'none'",
    scripts.length === 0 ? "script-src 'none'" : `script-src ${sources(scripts)} 'wasm-unsafe-eval'`,
    `style-src ${sources(styles)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
}

function digest(content: string): string {
  return createHash('sha256').update(content).digest('base64')
}

function inline(content: string, element: 'script' | 'style'): string {
  if (/<\/(script|style)|<!--|[\0\r]/i.test(content)) throw new TypeError(`the player's ${element} cannot be inlined`)
  return content
}

/** JSON that holds nothing a browser would read as markup or as the end of a line. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_unit, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  dropped: number,
): string {
  if (rows.length === 0) return ''
  const cells = (row: readonly string[], element: 'th' | 'td'): string =>
    `<tr>${row.map((cell) => `<${element}>${text(cell)}</${element}>`).join('')}</tr>`
  return `<h2>${title}</h2>
<table>
${cells(columns, 'th')}
${rows.map((row) => cells(row, 'td')).join('\n')}
</table>
${dropped === 0 ? '' : `<p>${dropped} more are not listed.</p>`}`
}

/** Text from elsewhere, fit for an element's content: no markup, and what does not print as an escape. */
function text(content: string): string {
  return content
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter)
    .replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
