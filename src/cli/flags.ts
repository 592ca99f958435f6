import { Option } from 'commander'
import { defaultCacheDirectory, parsePortal } from '../client/login-cache.ts'
import type { TokenRequest } from '../client/token.ts'

/** Flags of every command that works on a login, as they were given. */
export interface LoginFlags {
  readonly portal?: string
  readonly issuer?: string
  readonly cacheDirectory?: string
}

/** Flags of every command that prints a result. */
export interface OutputFlags {
  readonly output: 'text' | 'json'
}

export const portalOption = (): Option =>
  new Option('--portal <URL>', 'portal, such as postern.example.com; else $POSTERN_PORTAL').argParser(parsePortal)

export const issuerOption = (): Option => new Option('--issuer <URL>', 'issuer, where the portal has several')

export const cacheDirectoryOption = (): Option =>
  new Option('--cache-directory <DIRECTORY>', "where logins are kept, when not in the platform's place for caches")

export const outputOption = (): Option =>
  new Option('-o, --output <FORMAT>', 'how to print the result').choices(['text', 'json']).default('text')

export const kubeconfigOption = (): Option =>
  new Option('--kubeconfig <FILE>', 'file to change, when not $KUBECONFIG or ~/.kube/config')

/**
 * Which login is meant.
 *
 * @throws ClientError `BadArgument` when POSTERN_PORTAL counts and is no portal.
 */
export function toTokenRequest({ portal = portalOfEnvironment(), issuer, cacheDirectory }: LoginFlags): TokenRequest {
  return {
    ...(portal !== undefined && { portal }),
    ...(issuer !== undefined && { issuer }),
    cacheDirectory: cacheDirectory ?? defaultCacheDirectory(process.env, process.platform),
  }
}

/** Not a default of the flag: beside `--directory` a portal may not be named, but may be set. */
function portalOfEnvironment(): string | undefined {
  const portal = process.env['POSTERN_PORTAL'] ?? ''
  return portal === '' ? undefined : parsePortal(portal)
}
