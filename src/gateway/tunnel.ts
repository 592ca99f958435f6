import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { SessionFacts } from '../audit/recording/session-facts.ts'
import { type Query, isTrue } from '../kube/query.ts'
import type { SessionDecoder } from '../kube/session/session-decoder.ts'
import { createPortForwardDecoder, createRemoteCommandDecoder } from '../kube/session/session-decoders.ts'
import { type SessionKind, sessionKind } from '../kube/session-kind.ts'
import { StatusError, failure } from '../kube/status.ts'
import type { ChunkPool } from './chunk-pool.ts'
import { closeAfterLastBytes } from './last-bytes.ts'
import type { LiveStream, LiveStreams } from './live-streams.ts'
import type { LoginExpiry } from './login-expiry.ts'
import type { Recordings } from './recordings.ts'
import { SessionActivity } from './session-activity.ts'
import { sessionFacts } from './session-facts.ts'
import { SessionRecording } from './session-recording.ts'
import type { SessionSlots } from './session-slots.ts'
import { Session } from './session.ts'
import type { Authorized } from './stages.ts'
import { type Switched, switchProtocols } from './switch-protocols.ts'
import type { YoungGarbage } from './young-garbage.ts'

/** What tunnels are made of. */
export interface TunnelContext {
  readonly streams: LiveStreams
  readonly slots: SessionSlots
  readonly logins: LoginExpiry
  readonly garbage: YoungGarbage
  readonly chunks: ChunkPool
  /** Null when the connector keeps no recordings. */
  readonly recordings: Recordings | null
  /** From dialling to the 101, in milliseconds. */
  readonly upgradeTimeoutMs: number
  /** Told why a recording is not kept. */
  readonly onRecordingFailure: (auditId: string, error: unknown) => void
  /** Told of each session that opens: the promise resolves when it is over and its account is written. */
  readonly settle: (settled: Promise<undefined>) => void
}

/**
 * Serves an authorized upgrade on the client's own socket: a session for an exec, attach or port-forward, and a plain
 * relay for a watch, a log or what lies behind `proxy`. Resolves when it is under way; the audit entry is completed
 * when it is over.
 *
 * @param client the client's socket, past the head; owned by the tunnel from here on.
 * @throws StatusError when it is refused or does not come about; the client was not answered then.
 */
export async function tunnel(authorized: Authorized, client: Duplex, context: TunnelContext): Promise<void> {
  const kind = sessionKind(authorized.authenticated.request.requestInfo)
  if (kind === undefined) await openRelay(authorized, client, context)
  else await openSession(authorized, kind, client, context)
}

async function openSession(
  authorized: Authorized,
  kind: SessionKind,
  client: Duplex,
  context: TunnelContext,
): Promise<void> {
  const { authentication, upgrade } = authorized.authenticated
  if (upgrade === undefined) throw new TypeError('only an upgrade opens a session')
  const { username } = authentication.subject
  const { maxConcurrent = Infinity } = authorized.obligations
  await using undo = new AsyncDisposableStack()
  const record = demandedRecording(authorized)
  const facts = sessionFacts(authorized, { id: randomUUID(), kind, upgrade, record })
  const recording = new SessionRecording(facts, context.recordings, (error) => {
    context.onRecordingFailure(facts.auditId, error)
  })
  undo.defer(() => recording.discard())
  // Undone before the recording, which takes its time: kubectl tries again, by SPDY, as soon as it is refused.
  const giveBack = context.slots.take(username, authorized.decision.rule, maxConcurrent)
  undo.defer(giveBack)
  if (record !== 'off') await recording.open(authorized.authenticated.socket.recordInput)
  const switched = await switchProtocols(authorized, client, context.upgradeTimeoutMs)
  if (switched === null) return
  undo.defer(() => {
    switched.upstream.destroy()
  })
  recording.requireKept()
  undo.move()
  startSession(authorized, kind, { facts, recording, switched, client, giveBack }, context)
}

function startSession(
  authorized: Authorized,
  kind: SessionKind,
  {
    facts,
    recording,
    switched,
    client,
    giveBack,
  }: {
    readonly facts: SessionFacts
    readonly recording: SessionRecording
    readonly switched: Switched
    readonly client: Duplex
    readonly giveBack: () => void
  },
  context: TunnelContext,
): void {
  const { audit, authentication } = authorized.authenticated
  const { recorder } = recording
  recorder?.agreed(switched.subprotocol)
  const activity = new SessionActivity(recorder?.remoteCommand ?? null, recorder?.portForward ?? null)
  const session = new Session({
    authorized,
    facts: { ...facts, subprotocol: switched.subprotocol },
    client,
    upstream: switched.upstream,
    decoder: createDecoder(authorized, kind, switched, activity),
    activity,
    recorder,
    garbage: context.garbage,
    chunks: context.chunks,
    onClosed(endedBy) {
      giveBack()
      forget()
      callOff()
      const outcome = { code: 101, ...(endedBy === '' ? {} : { message: endedBy }) }
      void recording.finish(endedBy).then((kept) => {
        audit.recorded(kept)
        audit.complete(outcome)
        settled.resolve(undefined)
      })
    },
  })
  const settled = Promise.withResolvers<undefined>()
  context.settle(settled.promise)
  recording.observedBy(session)
  const forget = context.streams.addSession(session)
  const callOff = context.logins.watch(authentication, (status) => {
    session.end(status)
  })
  audit.opened(facts.id)
  audit.started(101)
  switched.accept()
  session.start(switched.read)
}

function createDecoder(
  { authenticated }: Authorized,
  kind: SessionKind,
  { upgrade, subprotocol }: Switched,
  activity: SessionActivity,
): SessionDecoder {
  const { query } = authenticated.request
  const protocol = { protocol: upgrade.protocol, subprotocol }
  if (kind === 'portforward')
    return createPortForwardDecoder(protocol, { ports: forwardedPorts(query) }, activity.portForward)
  const streams = {
    stdin: isTrue(query, 'stdin'),
    stdout: isTrue(query, 'stdout'),
    stderr: isTrue(query, 'stderr'),
    tty: isTrue(query, 'tty'),
  }
  return createRemoteCommandDecoder(protocol, streams, activity.remoteCommand)
}

/** Relays what is no session: a watch, a log, or anything behind `proxy`. */
async function openRelay(authorized: Authorized, client: Duplex, context: TunnelContext): Promise<void> {
  const { audit, request, authentication } = authorized.authenticated
  const { verb, subresource } = request.requestInfo
  if (subresource === 'proxy' && demandedRecording(authorized) === 'required')
    throw new StatusError(failure(403, 'Forbidden', 'a WebSocket through proxy cannot be recorded, and it must be'))
  const switched = await switchProtocols(authorized, client, context.upgradeTimeoutMs)
  if (switched === null) return
  const { upstream } = switched
  const stream: LiveStream = {
    authorized,
    kind: verb === 'watch' ? 'watch' : 'stream',
    end() {
      client.destroy()
      upstream.destroy()
    },
  }
  const forget = context.streams.add(stream)
  const callOff = context.logins.watch(authentication, (status) => {
    stream.end(status)
  })
  let open = 2
  const closed = (): void => {
    open -= 1
    if (open > 0) return
    forget()
    callOff()
    audit.complete({ code: 101 })
  }
  client.once('close', () => {
    closed()
    upstream.destroy()
  })
  upstream.once('close', () => {
    closed()
    closeAfterLastBytes(client, upstream.readableEnded)
  })
  client.on('error', () => {
    upstream.destroy()
  })
  upstream.on('error', () => undefined)
  audit.started(101)
  switched.accept()
  switched.read((view) => {
    const { bytes, release } = context.chunks.copy(view)
    if (!client.write(bytes, release)) upstream.pause()
  })
  client.on('drain', () => {
    upstream.resume()
  })
  upstream.once('end', () => {
    client.end()
  })
  client.pipe(upstream)
}

/** What the rules demand, else what the socket does. */
function demandedRecording({ obligations, authenticated }: Authorized): 'required' | 'best-effort' | 'off' {
  return obligations.record ?? authenticated.socket.recordSessions
}

function forwardedPorts(query: Query): readonly number[] {
  const texts = query.filter(({ name }) => name === 'ports').flatMap(({ value }) => value.split(','))
  return texts.map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : NaN))
}
