import { connectSignedIn } from '../client/signed-in.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printLine } from './terminal.ts'

/** Prints the subject that the gateway takes the person for. */
export async function runWhoAmI(flags: LoginFlags & OutputFlags): Promise<ExitCode> {
  const { login, whoAmI } = await connectSignedIn(toTokenRequest(flags))
  const { username, uid, groups, extra } = await whoAmI()
  if (flags.output === 'json') {
    const expiresAt = new Date(login.expiresAtMs).toISOString()
    printJSON({ portal: login.portal, issuer: login.issuer, username, uid, groups, extra, expiresAt })
    return EXIT.ok
  }
  printLine(`portal:   ${login.portal}`)
  printLine(`issuer:   ${login.issuer}`)
  printLine(`username: ${username}`)
  printLine(`groups:   ${groups.length === 0 ? 'none' : groups.join(', ')}`)
  return EXIT.ok
}
