import type { RequestHandler } from 'express'
import type { Login, LoginRecord } from '../identity/logins/login.ts'
import type { Logins } from '../identity/logins/logins.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { notFound } from '../kube/status.ts'
import { API_VERSION, column, renderObject, renderObjectList, renderTime, type ObjectKind } from './api-object.ts'
import type { AuditedCalls, Call } from './audited-call.ts'
import { reasonOf, refuseDeleteOptions } from './delete-options.ts'
import { parseObjectFormat } from './object-format.ts'
import { pageOf, wantedPage, type Place } from './page.ts'
import { deleted, respond } from './respond.ts'
import {
  decideAction,
  requireAction,
  type Authorize,
  type DecisiveFacts,
  type SessionAction,
} from './session-rights.ts'

/** Name of the login that a request itself comes with. */
const CURRENT = 'current'

const SEE: Omit<SessionAction, 'verb'> = { resource: 'logins', subresource: '', ownersRight: true }
const LIST: SessionAction = { ...SEE, verb: 'list' }
const GET: SessionAction = { ...SEE, verb: 'get' }
const REVOKE: SessionAction = { ...SEE, verb: 'delete' }

/** A login as somebody sees it. */
interface ShownLogin {
  readonly record: LoginRecord
  /** Whether it is the one that they ask with. */
  readonly current: boolean
}

const loginKind: ObjectKind<ShownLogin> = {
  kind: 'Login',
  columns: [
    column('Name', 'Id of the login', { format: 'name' }),
    column('User', 'Whose it is'),
    column('State', 'active, expired or revoked'),
    column('Age', 'How long ago it was first seen'),
    column('Seen', 'How long ago it was last seen'),
    column('From', 'Address that it was last seen from'),
    column('Client', 'Program that it was last seen with'),
    column('Issuer', 'Who vouches for it', { priority: 1 }),
    column('Revoked by', 'Who revoked it', { priority: 1 }),
  ],
  cells: ({ record }) => [
    record.id,
    record.username,
    stateOf(record),
    renderHumanDuration(Date.now() - record.firstSeenAtMs),
    renderHumanDuration(Date.now() - record.lastSeenAtMs),
    record.places[0]?.sourceIP ?? '',
    record.places[0]?.userAgent ?? '',
    record.issuer,
    record.revocation?.by ?? '',
  ],
  toObject: ({ record, current }) => ({
    apiVersion: API_VERSION,
    kind: 'Login',
    metadata: { name: record.id, creationTimestamp: renderTime(record.firstSeenAtMs) },
    spec: {
      username: record.username,
      uid: record.uid,
      groups: record.groups,
      issuer: record.issuer,
      ...(record.authenticatedAtMs !== null && { authenticationTime: isoTime(record.authenticatedAtMs) }),
    },
    status: {
      state: stateOf(record),
      current,
      lastSeenTime: isoTime(record.lastSeenAtMs),
      expiryTime: isoTime(record.expiresAtMs),
      places: record.places.map(({ sourceIP, userAgent, lastSeenAtMs }) => ({
        sourceIP,
        userAgent,
        lastSeenTime: isoTime(lastSeenAtMs),
      })),
      ...(record.revocation !== null && {
        revocation: {
          time: isoTime(record.revocation.atMs),
          by: record.revocation.by,
          reason: record.revocation.reason,
        },
      }),
    },
  }),
}

interface LoginHandlers {
  readonly list: RequestHandler
  readonly get: RequestHandler
  /** Revokes the login, and those that cannot be told from it. They stay in the list for a while. */
  readonly remove: RequestHandler
}

/**
 * What is answered about logins. People see and revoke their own, and those that the policies grant them; `current` names
 * the one that a request comes with. A login belongs to the connector, to no socket of it: only policies for all sockets,
 * which name none, and rules for all namespaces speak of it.
 */
export function loginHandlers({
  logins,
  authorize,
  callOf,
}: {
  readonly logins: Logins
  readonly authorize: Authorize
  readonly callOf: AuditedCalls['callOf']
}): LoginHandlers {
  /** @throws StatusError 403 and 404. */
  const findFor = (action: SessionAction, call: Call): Login => {
    const { name } = call.requestInfo
    const login = name === CURRENT ? call.authentication.login : logins.find(name)
    if (login === undefined) throw notFound('postern.dev', 'logins', name)
    requireAction(action, factsOf(login, call), call, authorize)
    return login
  }
  const shown = (login: Login, call: Call): ShownLogin => ({
    record: login.record,
    current: login === call.authentication.login,
  })

  return {
    list(request, response) {
      const call = callOf(response)
      const format = parseObjectFormat('logins', request.url, request.rawHeaders)
      const isSeen = (login: Login): boolean =>
        decideAction(LIST, factsOf(login, call), call, authorize).effect === 'allow'
      const { page, rest } = pageOf(logins.list(), { placeOf, isSeen, ...wantedPage(call.query) })
      const items = page.map((login) => shown(login, call))
      respond(response, 200, renderObjectList(loginKind, items, format, rest))
    },
    get(request, response) {
      const call = callOf(response)
      const format = parseObjectFormat('logins', request.url, request.rawHeaders)
      respond(response, 200, renderObject(loginKind, shown(findFor(GET, call), call), format))
    },
    async remove(request, response) {
      const call = callOf(response)
      refuseDeleteOptions(request, call.query)
      const reason = reasonOf(call.query)
      const login = findFor(REVOKE, call)
      const isSignOut = call.requestInfo.name === CURRENT
      const ended = await logins.revoke(login, call.authentication.subject.username, reason, isSignOut)
      const others = ended.filter((one) => one !== login).map(({ id }) => id)
      const message = others.length === 0 ? '' : `revoked with it, as they cannot be told apart: ${others.join(', ')}`
      respond(response, 200, deleted('logins', login.id, message))
    },
  }
}

/** A username is one person's at one issuer only. */
function factsOf({ id, issuer, username }: Login, { authentication }: Call): DecisiveFacts {
  return { id, socket: '', namespace: '', username: issuer === authentication.issuer ? username : '' }
}

function placeOf({ id, firstSeenAtMs }: Login): Place {
  return { id, atMs: firstSeenAtMs }
}

function stateOf({ revocation, expiresAtMs }: LoginRecord): 'active' | 'expired' | 'revoked' {
  if (revocation !== null) return 'revoked'
  return expiresAtMs > Date.now() ? 'active' : 'expired'
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString()
}
