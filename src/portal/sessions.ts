import type { RequestHandler } from 'express'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { escapeCharacter } from '../kube/quote.ts'
import { failure, notFound, StatusError, tooManyRequests } from '../kube/status.ts'
import { API_VERSION, column, renderObject, renderObjectList, renderTime, type ObjectKind } from './api-object.ts'
import { ASCIICAST } from './asciicast.ts'
import type { AuditedCalls, Call } from './audited-call.ts'
import { reasonOf, refuseDeleteOptions } from './delete-options.ts'
import { sendFollowed } from './follow.ts'
import { parseObjectFormat } from './object-format.ts'
import type { PortalSession, PortalSessions } from './portal-session.ts'
import { deleted, respond } from './respond.ts'
import { decideAction, requireAction, type Authorize, type SessionAction } from './session-rights.ts'

/** Those who may follow sessions at a time, over all sessions. Each may keep its backlog in memory. */
const MAX_FOLLOWERS = 100
/** When a follower who was one too many may try again, in seconds. */
const RETRY_AFTER_SECONDS = 10

const SEE: Omit<SessionAction, 'verb'> = { resource: 'sessions', subresource: '', ownersRight: true }
const LIST: SessionAction = { ...SEE, verb: 'list' }
const GET: SessionAction = { ...SEE, verb: 'get' }
const END: SessionAction = { ...SEE, verb: 'delete' }
const FOLLOW: SessionAction = { ...SEE, verb: 'get', subresource: 'follow' }

const sessionKind: ObjectKind<PortalSession> = {
  kind: 'Session',
  columns: [
    column('Name', 'Id of the session', { format: 'name' }),
    column('Kind', 'exec, attach or portforward'),
    column('User', 'Who opened it'),
    column('Socket', 'Where'),
    column('Namespace', 'Namespace of the pod'),
    column('Pod', 'Pod that it goes to'),
    column('Age', 'How long it lasts'),
    column('Idle', 'For how long nothing has passed'),
    column('Recorded', 'Whether it is being recorded', { type: 'boolean', priority: 1 }),
    column('Command', 'What an exec runs', { priority: 1 }),
  ],
  cells: ({ facts, lastActivityAtMs, recorded }) => [
    facts.id,
    facts.kind,
    facts.username,
    facts.socket,
    facts.namespace,
    facts.pod,
    renderHumanDuration(Date.now() - facts.startedAtMs),
    renderHumanDuration(Date.now() - lastActivityAtMs),
    recorded,
    facts.command.join(' '),
  ],
  toObject: ({ facts, lastActivityAtMs, sentBytes, receivedBytes, recorded }) => ({
    apiVersion: API_VERSION,
    kind: 'Session',
    metadata: { name: facts.id, creationTimestamp: renderTime(facts.startedAtMs) },
    spec: facts,
    status: {
      lastActivityTime: new Date(lastActivityAtMs).toISOString(),
      sentBytes,
      receivedBytes,
      recording: recorded,
    },
  }),
}

interface SessionHandlers {
  readonly list: RequestHandler
  readonly get: RequestHandler
  /** Ends the session. */
  readonly remove: RequestHandler
  readonly follow: RequestHandler
}

/** What is answered about sessions. People see, follow and end their own, and those that the policies grant them. */
export function sessionHandlers({
  sessions,
  authorize,
  callOf,
}: {
  readonly sessions: PortalSessions
  readonly authorize: Authorize
  readonly callOf: AuditedCalls['callOf']
}): SessionHandlers {
  let followers = 0

  /** @throws StatusError 403 and 404. */
  const findFor = (action: SessionAction, call: Call): PortalSession => {
    const { name } = call.requestInfo
    const session = sessions.find(name)
    if (session === undefined) throw notFound('postern.dev', 'sessions', name)
    requireAction(action, session.facts, call, authorize)
    return session
  }

  return {
    list(request, response) {
      const call = callOf(response)
      const format = parseObjectFormat('sessions', request.url, request.rawHeaders)
      const seen = sessions.list().filter(({ facts }) => decideAction(LIST, facts, call, authorize).effect === 'allow')
      respond(response, 200, renderObjectList(sessionKind, seen, format))
    },
    get(request, response) {
      const format = parseObjectFormat('sessions', request.url, request.rawHeaders)
      respond(response, 200, renderObject(sessionKind, findFor(GET, callOf(response)), format))
    },
    remove(request, response) {
      const call = callOf(response)
      refuseDeleteOptions(request, call.query)
      const reason = reasonOf(call.query)
      const session = findFor(END, call)
      session.end(endSentence(call.authentication.subject.username, reason))
      respond(response, 200, deleted('sessions', session.facts.id))
    },
    follow(request, response) {
      const call = callOf(response)
      const session = findFor(FOLLOW, call)
      if (!session.recorded) throw notFollowable(session.facts.id)
      if (request.method === 'HEAD') {
        response.setHeader('Content-Type', ASCIICAST).end()
        return
      }
      if (followers >= MAX_FOLLOWERS)
        throw tooManyRequests(`${MAX_FOLLOWERS} people follow sessions already`, RETRY_AFTER_SECONDS)
      // Who left meanwhile would never be seen to leave.
      if (response.destroyed) return
      response.setHeader('Content-Type', ASCIICAST)
      const followed = sendFollowed(session, response, () => {
        const { expiresAtMs, login } = call.authentication
        if (Date.now() >= expiresAtMs) return 'your login expired'
        if ((login?.revocation ?? null) !== null) return 'your login was revoked'
        return decideAction(FOLLOW, session.facts, call, authorize).effect === 'allow'
          ? ''
          : 'the policy changed, and no longer lets you follow this session'
      })
      if (!followed) throw notFollowable(session.facts.id)
      followers += 1
      response.once('close', () => (followers -= 1))
      call.audit.started(200)
    },
  }
}

function notFollowable(id: string): StatusError {
  return new StatusError(failure(409, 'Conflict', `session ${id} is not recorded, so it cannot be followed`))
}

function endSentence(username: string, reason: string): string {
  const sentence = `this session was ended by ${username}${reason === '' ? '' : `: ${reason}`}`
  return sentence.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter)
}
