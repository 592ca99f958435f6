import { rmSync } from 'node:fs'
import { ClientError } from './client-error.ts'
import { discoverIssuer, type Issuer } from './issuer.ts'
import { readLogin, type CachedLogin, type Login } from './login-cache.ts'
import { removeLogin, withLoginLock } from './login-cache-writer.ts'
import { CURRENT_LOGIN } from './portal-logins.ts'
import { connectPortal } from './portal.ts'

/** What is left of a login that was forgotten. */
export interface Leftover {
  /** What the issuer still honours, as a sentence; empty when nothing is. */
  readonly notice: string
  /** Where the person ends their session at the issuer; empty when it offers no such page, or cannot be asked. */
  readonly endSessionURL: string
}

/**
 * Forgets a login and revokes its refresh token. The login is forgotten whatever the issuer says.
 *
 * @param everywhere revokes it at the gateway too, which ends what runs there, until the person proves anew who they are
 */
export async function logout(cached: CachedLogin, everywhere: boolean): Promise<Leftover> {
  const { login } = await withLoginLock(cached.path, () => {
    const latest = readLogin(cached.path) ?? cached
    removeLogin(cached)
    rmSync(`${cached.path}.attempt`, { force: true })
    return latest
  })
  const gateway = everywhere ? await revokeAtGateway(login) : ''
  const said = (notice: string): string => [gateway, notice].filter((sentence) => sentence !== '').join('; ')
  try {
    const issuer = await discoverIssuer({
      url: login.issuer,
      clientID: login.clientID,
      certificateAuthority: login.issuerCertificateAuthority,
    })
    return { notice: said(await revoke(login, issuer)), endSessionURL: issuer.endSessionURL() }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    const notice =
      login.refreshToken === '' ? '' : `the refresh token could not be revoked and ends by itself: ${error.message}`
    return { notice: said(notice), endSessionURL: '' }
  }
}

/** A token that has ended opens nothing there, and so ends nothing. */
async function revokeAtGateway(login: Login): Promise<string> {
  if (Date.now() >= login.expiresAtMs) return ''
  try {
    await connectPortal(login.portal, login.portalCertificateAuthority).revokeLogin(login.idToken, CURRENT_LOGIN, '')
    return ''
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return `the login could not be revoked at the gateway: ${error.message}`
  }
}

async function revoke({ issuer: url, refreshToken }: Login, issuer: Issuer): Promise<string> {
  if (refreshToken === '') return ''
  try {
    if (await issuer.revoke(refreshToken)) return ''
    return `${url} offers no revocation; the forgotten refresh token ends by itself`
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return `the refresh token could not be revoked and ends by itself: ${error.message}`
  }
}
