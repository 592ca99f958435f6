import { ClientError } from './client-error.ts'
import { discoverIssuer, type Issuer } from './issuer.ts'
import { readLogin, type CachedLogin, type Login } from './login-cache.ts'
import { removeLogin, withLoginLock } from './login-cache-writer.ts'
import { CURRENT_LOGIN } from './portal-logins.ts'
import { connectPortal } from './portal.ts'
import { refreshLogin } from './refresh.ts'
import { isRevoked } from './revoked-login.ts'

/** What is left of a login that was forgotten. */
export interface Leftover {
  /** What goes on for a while, as a sentence; empty when nothing does. */
  readonly notice: string
  /** Where the person ends their session at the issuer; empty when it offers no such page, or cannot be asked. */
  readonly endSessionURL: string
}

/** Why the login was revoked, for whoever reads it in a session that ends. */
const REASON = 'signed out'

/**
 * Ends a login: here, at the gateway, which ends what was opened with it, and at the issuer, whose refresh token is
 * revoked. It is forgotten here whatever the others say.
 *
 * @throws ClientError `CacheUnusable`, `CacheBusy`: then nothing was ended.
 */
export async function logout(cached: CachedLogin): Promise<Leftover> {
  const { path } = cached
  const renewed = await renew(cached)
  const { login } = await withLoginLock(path, () => {
    const latest = readLogin(path)
    removeLogin(cached)
    // One that could not be kept is the newer one.
    return latest !== null && latest.login.expiresAtMs >= renewed.login.expiresAtMs ? latest : renewed
  })
  const [gateway, issuer] = await Promise.all([revokeAtGateway(login), revokeAtIssuer(login)])
  return { ...issuer, notice: [gateway, issuer.notice].filter((sentence) => sentence !== '').join('; ') }
}

/** What a token opened may outlive it, and only a token that holds ends it. */
async function renew(cached: CachedLogin): Promise<CachedLogin> {
  const { expiresAtMs, refreshToken } = cached.login
  if (Date.now() < expiresAtMs || refreshToken === '') return cached
  try {
    return await refreshLogin(cached, Date.now())
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return cached
  }
}

async function revokeAtGateway(login: Login): Promise<string> {
  if (Date.now() >= login.expiresAtMs) return ''
  try {
    const portal = connectPortal(login.portal, login.portalCertificateAuthority)
    await portal.revokeLogin(login.idToken, CURRENT_LOGIN, REASON)
    return ''
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    if (isRevoked(error)) return ''
    return `the gateway could not be told, so what runs there goes on until its token ends: ${error.message}`
  }
}

async function revokeAtIssuer(login: Login): Promise<Leftover> {
  try {
    const issuer = await discoverIssuer({
      url: login.issuer,
      clientID: login.clientID,
      authorizationServer: login.authorizationServer ?? '',
      certificateAuthority: login.issuerCertificateAuthority,
    })
    return { notice: await revoke(login, issuer), endSessionURL: issuer.endSessionURL() }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return { notice: login.refreshToken === '' ? '' : unrevoked(error), endSessionURL: '' }
  }
}

async function revoke({ issuer: url, refreshToken }: Login, issuer: Issuer): Promise<string> {
  if (refreshToken === '') return ''
  try {
    if (await issuer.revoke(refreshToken)) return ''
    return `${url} offers no revocation; the forgotten refresh token ends by itself`
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return unrevoked(error)
  }
}

function unrevoked({ message }: ClientError): string {
  return `the refresh token could not be revoked and ends by itself: ${message}`
}
