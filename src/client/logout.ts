import { ClientError } from './client-error.ts'
import { discoverIssuer } from './issuer.ts'
import { readLogin, type CachedLogin, type Login } from './login-cache.ts'
import { removeLogin, withLoginLock } from './login-cache-writer.ts'

/**
 * Forgets a login and revokes its refresh token. The login is forgotten whatever the issuer says.
 *
 * Resolves to an empty string, or to a sentence about what the issuer still honours.
 */
export async function logout(cached: CachedLogin): Promise<string> {
  const { login } = await withLoginLock(cached.path, () => {
    const latest = readLogin(cached.path) ?? cached
    removeLogin(cached)
    return latest
  })
  return revoke(login)
}

async function revoke(login: Login): Promise<string> {
  if (login.refreshToken === '') return ''
  try {
    const issuer = await discoverIssuer({
      url: login.issuer,
      clientID: login.clientID,
      certificateAuthority: login.issuerCertificateAuthority,
    })
    if (await issuer.revoke(login.refreshToken)) return ''
    return `${login.issuer} offers no revocation; the forgotten refresh token ends by itself`
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return `the refresh token could not be revoked and ends by itself: ${error.message}`
  }
}
