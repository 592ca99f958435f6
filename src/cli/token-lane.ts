import { defaultCacheDirectory, parsePortal } from '../client/login-cache.ts'
import { execCredential, type TokenRequest } from '../client/token.ts'

const STDOUT = 1

/**
 * Runs `client token` with the arguments as kubeconfigs have them, and gives back the exit code. Null for other
 * arguments, which the command tree then explains.
 */
export async function runTokenLane(args: readonly string[]): Promise<number | null> {
  try {
    const request = parseTokenArguments(args)
    if (request === null) return null
    await printToken(request)
    return 0
  } catch (error) {
    const { reportError } = await import('./report-error.ts')
    return reportError(error)
  }
}

/** Prints the ExecCredential that kubectl asked for. */
export async function printToken(request: TokenRequest): Promise<void> {
  const answer = Buffer.from(await execCredential(request, process.env['KUBERNETES_EXEC_INFO']))
  // Neither process.stdout nor an import of node:fs: both cost more than all the rest here.
  const fs = process.getBuiltinModule('node:fs')
  for (let written = 0; written < answer.length;) written += fs.writeSync(STDOUT, answer, written)
}

/**
 * Pairs of a flag and its value, or null.
 *
 * @throws ClientError `BadArgument` for a portal that is none.
 */
export function parseTokenArguments(args: readonly string[]): TokenRequest | null {
  const flags = { '--portal': '', '--issuer': '', '--cache-directory': '' }
  for (let index = 0; index < args.length; index += 2) {
    const [flag, value] = [args[index], args[index + 1]]
    if (flag !== '--portal' && flag !== '--issuer' && flag !== '--cache-directory') return null
    if (value === undefined || value === '' || value.startsWith('-')) return null
    flags[flag] = value
  }
  const portal = flags['--portal'] || process.env['POSTERN_PORTAL'] || ''
  return {
    ...(portal !== '' && { portal: parsePortal(portal) }),
    ...(flags['--issuer'] !== '' && { issuer: flags['--issuer'] }),
    cacheDirectory: flags['--cache-directory'] || defaultCacheDirectory(process.env, process.platform),
  }
}
