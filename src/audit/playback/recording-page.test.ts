import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { collected } from '../../../test/support/collected.ts'
import { factsOf, manifestOf } from '../../../test/support/staged-sessions.ts'
import type { AsciicastEvent } from './asciicast-reader.ts'
import type { RecordingManifest } from '../recording/recording-manifest.ts'
import { recordingPage } from './recording-page.ts'

const HOSTILE = `</script><script>alert(1)</script><!--<img src=x onerror="alert(1)" a='&'>\u2028\u202e\x1b[31m\u{e0001}`
const START = Date.parse('2026-07-01T08:00:00Z')
const PLAYER = { script: 'var AsciinemaPlayer={}', style: '.ap{color:red}' }

async function page(manifest: RecordingManifest, data = HOSTILE, player = PLAYER): Promise<string> {
  const events: AsciicastEvent[] = [{ timeMs: 1500, code: 'o', data }]
  const header = { version: 2, width: 100, height: 30 } as const
  return (await collected(recordingPage(manifest, header, ReadableStream.from(events), player))).join('')
}

const hostile = manifestOf(
  factsOf({
    username: HOSTILE,
    groups: [HOSTILE],
    pod: HOSTILE,
    command: ['sh', HOSTILE],
    userAgent: HOSTILE,
    rule: HOSTILE,
    startedAtMs: START,
  }),
  {
    outcome: { endedAtMs: START + 5000, exitCode: 7, message: HOSTILE, endedBy: HOSTILE },
    files: [{ direction: 'upload', path: HOSTILE, type: 'file', byteLength: 1, hash: HOSTILE }],
    connections: [{ port: 80, sentBytes: 1, receivedBytes: 1, openedAtMs: 0, closedAtMs: 1, error: HOSTILE }],
    incomplete: HOSTILE,
  },
)

test('no text from elsewhere leaves its place', async () => {
  const html = await page(hostile)
  expect(html).not.toMatch(/alert\(1\)<|<img|<!--|onerror="/)
  expect(html.match(/<script/g)).toHaveLength(3)
  expect(html.match(/<\/script>/g)).toHaveLength(3)
  expect(html.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  expect(html).toContain('&#60;/script&#62;&#60;script&#62;alert(1)')
})

test('the recording in it is the one that was given', async () => {
  const html = await page(hostile)
  const text = /<script type="application\/x-asciicast" id="recording">\n([^<]*)<\/script>/.exec(html)?.[1] ?? ''
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([{ version: 2, width: 100, height: 30 }, [1.5, 'o', HOSTILE], [5, 'o', '']])
})

test('its policy admits its own scripts and styles, and nothing else from anywhere', async () => {
  const html = await page(hostile)
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? ''
  const directives = new Map(policy.split('; ').map((one) => [one.split(' ')[0], one.split(' ').slice(1)]))
  expect([...directives.keys()]).toEqual(['default-src', 'script-src', 'style-src', 'base-uri', 'form-action'])
  expect(directives.get('default-src')).toEqual(["'none'"])
  const hashes = (element: string): string[] =>
    [...html.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, 'g'))].map(
      ([, content]) =>
        `'sha256-${createHash('sha256')
          .update(content ?? '')
          .digest('base64')}'`,
    )
  expect(directives.get('script-src')).toEqual([...hashes('script'), "'wasm-unsafe-eval'"])
  expect(directives.get('style-src')).toEqual(hashes('style'))
  expect(html).not.toMatch(/(src|href)="|https?:\/\//)
})

test('a port-forward has its connections, and no player', async () => {
  const html = await page(manifestOf(factsOf({ kind: 'portforward' }), { connections: hostile.connections }))
  expect(html).not.toMatch(/<script|id="player"|wasm/)
  expect(html).toContain('<h2>Connections</h2>')
})

test('a player that would not stay inside its element is not used', async () => {
  await expect(page(hostile, '', { ...PLAYER, script: 'x="</script>"' })).rejects.toThrow('cannot be inlined')
})
