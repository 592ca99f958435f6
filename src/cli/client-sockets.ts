import { connectSignedIn } from '../client/signed-in.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printNotice, printTable } from './terminal.ts'

/** Prints the sockets that a person may reach; as JSON, the portal's own list. */
export async function runSockets(flags: LoginFlags & OutputFlags): Promise<ExitCode> {
  const { login, listSockets } = await connectSignedIn(toTokenRequest(flags))
  const list = await listSockets()
  if (flags.output === 'json') printJSON(list)
  else if (list.items.length === 0)
    printNotice(`You may reach no socket at ${login.portal}; ask whoever runs it for a policy.`)
  else
    printTable(
      ['NAME', 'ACCESS', 'URL'],
      list.items.map(({ metadata, status }) => [metadata.name, status.access.join(', '), status.url]),
    )
  return EXIT.ok
}
