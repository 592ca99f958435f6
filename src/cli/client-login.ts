import { readFileSync } from 'node:fs'
import { openBrowser } from '../client/browser.ts'
import { ClientError } from '../client/client-error.ts'
import { login } from '../client/login.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printLine, printNotice } from './terminal.ts'

export interface LoginCommandFlags extends LoginFlags, OutputFlags {
  readonly portal: string
  readonly certificateAuthority?: string
  readonly browser: boolean
}

/** Signs in; the address goes to stderr, the outcome to stdout. */
export async function runLogin(flags: LoginCommandFlags): Promise<ExitCode> {
  const { userInfo, expiresAtMs, refreshable } = await login({
    ...toTokenRequest(flags),
    portal: flags.portal,
    certificateAuthority: flags.certificateAuthority === undefined ? '' : readAuthority(flags.certificateAuthority),
    present: (address) => {
      printNotice(`Sign in at: ${address}`)
      if (flags.browser) void open(address)
    },
  })
  const expiresAt = new Date(expiresAtMs)
  if (flags.output === 'json') {
    printJSON({ portal: flags.portal, ...userInfo, expiresAt: expiresAt.toISOString(), refreshable })
  } else {
    const end = refreshable ? 'and stay so' : `until ${expiresAt.toLocaleTimeString()}`
    printLine(`You are signed in to ${flags.portal} as ${userInfo.username}, ${end}.`)
    printLine('Next: postern client kubeconfig set')
  }
  return EXIT.ok
}

async function open(address: string): Promise<void> {
  const failure = await openBrowser(address, process.platform)
  if (failure !== '') printNotice(`No browser could be opened (${failure}); open the address yourself.`)
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BadArgument', `--certificate-authority cannot be read: ${why}`, { cause: error })
  }
}
