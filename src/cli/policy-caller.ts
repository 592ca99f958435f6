import { isIP } from 'node:net'
import { ClientError } from '../client/client-error.ts'
import { instant } from '../policy/conditions.ts'
import { exampleSocket } from '../policy/example-socket.ts'
import type { Caller } from '../policy/explain.ts'
import type { PolicySource } from './policy-source.ts'

/** Flags that say who asks, of which socket, from where and when. */
export interface CallerFlags {
  readonly user: string
  readonly group: readonly string[]
  readonly extra: readonly string[]
  readonly socket?: string
  readonly sourceIp: string
  readonly at?: string
}

/** @throws ClientError `BadArgument` for a flag that says nothing. */
export function toCaller(flags: CallerFlags, source: PolicySource): Caller {
  if (isIP(flags.sourceIp) === 0) throw mistake(`--source-ip ${flags.sourceIp} is not an address`)
  const socket = flags.socket ?? usualSocket(source)
  return {
    subject: { username: flags.user, uid: '', groups: flags.group, extra: toExtra(flags.extra) },
    socket,
    sourceIP: flags.sourceIp,
    atMs: toMoment(flags.at),
    forwardAs: source.forwardAs(socket),
  }
}

function toMoment(text: string | undefined): number {
  if (text === undefined) return Date.now()
  if (!instant.safeParse(text).success) throw mistake(`--at ${text} is no time; write it as 2026-07-01T08:00:00Z`)
  return Date.parse(text)
}

function toExtra(pairs: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const extra = Object.create(null) as Record<string, readonly string[]>
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw mistake(`--extra ${pair} is not KEY=VALUE`)
    const key = pair.slice(0, equals)
    extra[key] = [...(extra[key] ?? []), pair.slice(equals + 1)]
  }
  return extra
}

/** The connector's default, else the only one that the policies name. */
function usualSocket({ set, sockets, defaultSocket }: PolicySource): string {
  if (defaultSocket !== '') return defaultSocket
  const named = sockets ?? [...new Set(set.policies.flatMap((policy) => policy.sockets ?? []))]
  if (named.length > 1) throw mistake(`say which socket with --socket: ${named.join(', ')}`)
  return exampleSocket(named)
}

function mistake(sentence: string): ClientError {
  return new ClientError('BadArgument', sentence)
}
