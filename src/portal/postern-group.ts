import { Router, type RequestHandler } from 'express'
import type { AuditTrail } from '../audit/audit-trail.ts'
import type { RecordingStore } from '../audit/recording-store/recording-store.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Logins } from '../identity/logins/logins.ts'
import { notFound } from '../kube/status.ts'
import type { Subject } from '../kube/subject.ts'
import { renderObject, renderObjectList } from './api-object.ts'
import { apiGroup, apiResourceList } from './api-resources.ts'
import { auditCalls, type Call } from './audited-call.ts'
import { loginHandlers } from './logins.ts'
import { parseObjectFormat } from './object-format.ts'
import type { PortalSessions } from './portal-session.ts'
import { recordingHandlers } from './recordings.ts'
import { notServed, refuseMethods, respond } from './respond.ts'
import type { Authorize } from './session-rights.ts'
import { sessionHandlers } from './sessions.ts'
import { socketKind, type PortalSocket, type ReachableSocket } from './sockets.ts'

export interface PosternGroupOptions {
  readonly authenticator: Authenticator
  /** Whether an address is that of a proxy whose `X-Forwarded-For` is believed. */
  readonly isTrustedProxy: (address: string) => boolean
  /** The sockets of now, in the order to show. */
  readonly sockets: () => readonly PortalSocket[]
  /**
   * Short phrases for what a person may do at a socket, such as `get` or `exec in default`. Empty when that is nothing:
   * then they do not learn that the socket exists.
   */
  readonly mayReach: (subject: Subject, socket: string) => readonly string[]
  /** The sessions under way, on all sockets. */
  readonly sessions: PortalSessions
  /** Null when nothing is kept. Stays its owner's to close. */
  readonly recordings: RecordingStore | null
  /** The logins that the authenticator knows. */
  readonly logins: Logins
  /** What the policies say of a session, recording or login, as of an object of its socket and namespace. */
  readonly authorize: Authorize
  /** Told of every request to the group `postern.dev`. Its sink stays its owner's to close. */
  readonly trail: AuditTrail
}

/**
 * The API group `postern.dev`, to be mounted at `/apis/postern.dev`: the sockets, sessions, recordings and logins
 * that a person may see. Every request is told to the audit trail.
 */
export function posternGroup(options: PosternGroupOptions): Router {
  const { begin, refused, callOf } = auditCalls(options)
  const sessions = sessionHandlers({ ...options, callOf })
  const logins = loginHandlers({ ...options, callOf })
  const isUnderWay = (id: string): boolean => options.sessions.find(id) !== undefined
  const recordings = recordingHandlers({ ...options, isUnderWay, callOf })
  const reachable = ({ authentication: { subject } }: Call): readonly ReachableSocket[] =>
    options
      .sockets()
      .map((socket) => ({ socket, access: options.mayReach(subject, socket.name) }))
      .filter(({ access }) => access.length > 0)

  const group = Router({ caseSensitive: true, strict: true })
  const read = (path: string, handler: RequestHandler): void => {
    group.route(path).get(handler).all(refuseMethods('GET, HEAD'))
  }
  const readAndDelete = (path: string, handler: RequestHandler, remove: RequestHandler): void => {
    group.route(path).get(handler).delete(remove).all(refuseMethods('GET, HEAD, DELETE'))
  }
  const show = (object: unknown): RequestHandler => {
    return (_request, response) => {
      respond(response, 200, object)
    }
  }

  group.use(begin)
  read('/', show(apiGroup('postern.dev')))
  read('/v1alpha1', show(apiResourceList('postern.dev')))
  read('/v1alpha1/sockets', (request, response) => {
    const format = parseObjectFormat('sockets', request.url, request.rawHeaders)
    respond(response, 200, renderObjectList(socketKind, reachable(callOf(response)), format))
  })
  read('/v1alpha1/sockets/:name', (request, response) => {
    const format = parseObjectFormat('sockets', request.url, request.rawHeaders)
    const call = callOf(response)
    const { name } = call.requestInfo
    const found = reachable(call).find(({ socket }) => socket.name === name)
    if (found === undefined) throw notFound('postern.dev', 'sockets', name)
    respond(response, 200, renderObject(socketKind, found, format))
  })
  read('/v1alpha1/sessions', sessions.list)
  readAndDelete('/v1alpha1/sessions/:name', sessions.get, sessions.remove)
  read('/v1alpha1/sessions/:name/follow', sessions.follow)
  read('/v1alpha1/recordings', recordings.list)
  readAndDelete('/v1alpha1/recordings/:name', recordings.get, recordings.remove)
  read('/v1alpha1/recordings/:name/cast', recordings.cast)
  read('/v1alpha1/logins', logins.list)
  readAndDelete('/v1alpha1/logins/:name', logins.get, logins.remove)
  group.use(notServed, refused)
  return group
}
