import { notSignedIn } from './client-error.ts'
import type { Login } from './login-cache.ts'
import { connectPortal, type SocketList, type UserInfo } from './portal.ts'
import { freshLogin, type TokenRequest } from './token.ts'

/** A portal, and the person who is signed in there. */
export interface SignedIn {
  readonly login: Login
  readonly listSockets: () => Promise<SocketList>
  readonly whoAmI: () => Promise<UserInfo>
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
  }
}
