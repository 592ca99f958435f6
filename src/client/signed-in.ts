import type { Readable } from 'node:stream'
import { notSignedIn } from './client-error.ts'
import type { Login } from './login-cache.ts'
import {
  connectPortal,
  type LiveSession,
  type PortalRecording,
  type SessionList,
  type SocketList,
  type UserInfo,
} from './portal.ts'
import type { PortalLogin } from './portal-logins.ts'
import { freshLogin, type TokenRequest } from './token.ts'

/** A portal, and the person who is signed in there. */
export interface SignedIn {
  readonly login: Login
  readonly listSockets: () => Promise<SocketList>
  readonly whoAmI: () => Promise<UserInfo>
  readonly listSessions: () => Promise<SessionList>
  readonly getSession: (id: string) => Promise<LiveSession>
  readonly endSession: (id: string, reason: string) => Promise<void>
  readonly followSession: (id: string, signal: AbortSignal) => Promise<Readable>
  readonly listLogins: () => Promise<readonly PortalLogin[]>
  readonly getLogin: (id: string) => Promise<PortalLogin>
  readonly revokeLogin: (id: string, reason: string) => Promise<void>
  readonly listRecordings: () => AsyncIterable<readonly PortalRecording[]>
  readonly getRecording: (id: string) => Promise<PortalRecording>
  readonly readCast: (id: string) => Promise<Readable>
}

/**
 * The portal of the login that counts.
 *
 * @throws ClientError, `NotSignedIn` above all; so do its calls, as those of a Portal.
 */
export async function connectSignedIn(request: TokenRequest): Promise<SignedIn> {
  const { login } = await freshLogin(request)
  if (Date.now() >= login.expiresAtMs) throw notSignedIn(login.portal, `your login at ${login.portal} has ended`)
  const portal = connectPortal(login.portal, login.portalCertificateAuthority)
  return {
    login,
    listSockets: () => portal.listSockets(login.idToken),
    whoAmI: () => portal.whoAmI(login.idToken),
    listSessions: () => portal.listSessions(login.idToken),
    getSession: (id) => portal.getSession(login.idToken, id),
    endSession: (id, reason) => portal.endSession(login.idToken, id, reason),
    followSession: (id, signal) => portal.followSession(login.idToken, id, signal),
    listLogins: () => portal.listLogins(login.idToken),
    getLogin: (id) => portal.getLogin(login.idToken, id),
    revokeLogin: (id, reason) => portal.revokeLogin(login.idToken, id, reason),
    listRecordings: () => portal.listRecordings(login.idToken),
    getRecording: (id) => portal.getRecording(login.idToken, id),
    readCast: (id) => portal.readCast(login.idToken, id),
  }
}
