import { readFileSync, readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SessionProtocol } from '../../src/kube/session/session-decoder.ts'
import { type Decoding, type Turn, cut, feed, portForward, remoteCommand, toldOf } from '../support/decoded-session.ts'

/** What kubectl and kube-apiserver said to each other behind the 101, as it was on the wire. */
interface RecordedSession {
  readonly name: string
  readonly request: string
  readonly protocol: SessionProtocol
  readonly turns: readonly Turn[]
}

const directory = new URL('sessions/', import.meta.url)
const sessions = readdirSync(directory).map((file): RecordedSession => {
  const { request, protocol, turns } = JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as {
    request: string
    protocol: SessionProtocol
    turns: { from: Turn['from']; base64: string }[]
  }
  const read = turns.map(({ from, base64 }) => ({ from, bytes: Buffer.from(base64, 'base64') }))
  return { name: file.replace('.json', ''), request, protocol, turns: read }
})

function decode({ request, protocol }: RecordedSession): Decoding {
  const { pathname, searchParams: query } = new URL(request.split(' ')[1] ?? '', 'http://localhost')
  if (pathname.endsWith('/portforward')) return portForward(protocol)
  const [stdin, stdout, stderr, tty] = ['stdin', 'stdout', 'stderr', 'tty'].map((name) => query.has(name))
  return remoteCommand(protocol, {
    stdin: stdin === true,
    stdout: stdout === true,
    stderr: stderr === true,
    tty: tty === true,
  })
}

const tellings: Record<string, readonly (string | RegExp)[]> = {
  'exec-kubectl': ['stdout passed 4 "out\\n"', 'stderr passed 4 "err\\n"', /^error passed .*NonZeroExitCode.*\\"7\\"/],
  'exec-stdin-kubectl': [
    `stdin passed 13 ${JSON.stringify(Buffer.from('hello wörld\n').toString('latin1'))}`,
    'stdin ended',
    `stdout passed 18 ${JSON.stringify(Buffer.from('hello wörld\ndone\n').toString('latin1'))}`,
    /^error passed .*Success/,
  ],
  'exec-tty-kubectl': ['resize passed 25 "{\\"Width\\":90,\\"Height\\":30}\\n"', /^error passed .*\\"3\\"/],
  'port-forward-kubectl': [
    ...[1, 2, 3, 4, 5].flatMap((n) => [
      `${n} opened to 8080`,
      `${n} sent 165 ""`,
      `${n} received 166 ""`,
      `${n} closed`,
    ]),
    '6 opened to 9',
    /^6 failed: .*connection refused/,
    '6 closed',
  ],
}

describe.each(sessions)('$name', (session) => {
  const whole = toldOf(decode(session), session.turns)

  test('is told as it was', () => {
    const expected = tellings[session.name.replace(/-1\.\d+$/, '')] ?? []
    expect(expected).not.toHaveLength(0)
    for (const telling of expected) {
      expect(whole).toContainEqual(typeof telling === 'string' ? telling : expect.stringMatching(telling))
    }
  })

  test('is told the same in single bytes, cut in two in many places, and cut at random', () => {
    const single = session.turns.flatMap(({ from, bytes }) =>
      [...bytes].map((byte) => ({ from, bytes: Uint8Array.of(byte) })),
    )
    expect(toldOf(decode(session), single)).toEqual(whole)
    session.turns.forEach(({ from, bytes }, index) => {
      const [before, after] = [session.turns.slice(0, index), session.turns.slice(index + 1)]
      const step = Math.ceil(bytes.length / 20)
      for (let at = 1; at < bytes.length; at += step) {
        const halves = [bytes.subarray(0, at), bytes.subarray(at)].map((half) => ({ from, bytes: half }))
        expect(toldOf(decode(session), [...before, ...halves, ...after])).toEqual(whole)
      }
    })
    const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { minLength: 1 })
    fc.assert(
      fc.property(fractions, (where) => {
        const decoding = decode(session)
        feed(decoding, cut(session.turns, where))
        expect(decoding.told.join('\n')).toBe(whole.join('\n'))
        expect(decoding.decoder.bytesSinceBoundary).toBe(0)
      }),
      { numRuns: 50 },
    )
  })
})
