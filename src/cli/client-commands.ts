import { Option, type Command } from 'commander'
import type { KubeconfigSetFlags, KubeconfigUnsetFlags } from './client-kubeconfig.ts'
import type { LoginCommandFlags } from './client-login.ts'
import type { LogoutFlags } from './client-logout.ts'
import { withExamples, type Act } from './command.ts'
import { EXIT } from './exit-code.ts'
import {
  cacheDirectoryOption,
  issuerOption,
  kubeconfigOption,
  outputOption,
  portalOption,
  toTokenRequest,
  type LoginFlags,
  type OutputFlags,
} from './flags.ts'

/** What runs on a person's laptop. */
export function addClientCommands(client: Command, act: Act): void {
  withExamples(
    client
      .command('login')
      .description('sign in to a portal with your browser')
      .addOption(portalOption())
      .option('--certificate-authority <FILE>', "PEM of the portal's private authority; kept with the login")
      .addOption(issuerOption())
      .option('--no-browser', 'print the address instead of opening a browser')
      .option('--device', 'sign in with a code on another device, where the portal allows that')
      .addOption(
        new Option(
          '--prompt <WHAT>',
          'prove anew who you are, or be somebody else, where the issuer knows you',
        ).choices(['login', 'select_account']),
      )
      .option('--timeout <DURATION>', 'how long to wait for you, 3m unless told')
      .addOption(cacheDirectoryOption())
      .addOption(outputOption()),
    'postern client login --portal https://postern.example.com',
    'postern client login --portal https://postern.internal:8444 --certificate-authority ca.crt --no-browser',
    'postern client login --portal https://postern.example.com --device',
  ).action(
    act(async (flags: LoginCommandFlags) => {
      const { runLogin } = await import('./client-login.ts')
      return runLogin(flags)
    }),
  )
  withExamples(
    withLogin(client.command('logout').description('end your logins at a portal, and what you opened with them'))
      .option('--all', 'at all portals')
      .option('--end-session', 'sign out at the issuer too, in your browser')
      .option('--no-browser', 'print the address instead of opening a browser'),
    'postern client logout',
    'postern client logout --all --end-session',
  ).action(
    act(async (flags: LogoutFlags) => {
      const { runLogout } = await import('./client-logout.ts')
      return runLogout(flags)
    }),
  )
  withExamples(
    withLogin(
      client.command('status').description('list your logins, and say what is wrong with them, without asking anybody'),
    ).addOption(outputOption()),
    'postern client status',
  ).action(
    act(async (flags: LoginFlags & OutputFlags) => {
      const { runStatus } = await import('./client-status.ts')
      return runStatus(flags)
    }),
  )
  withExamples(
    withLogin(client.command('whoami').description('print who you are to the gateway')).addOption(outputOption()),
    'postern client whoami -o json',
  ).action(
    act(async (flags: LoginFlags & OutputFlags) => {
      const { runWhoAmI } = await import('./client-whoami.ts')
      return runWhoAmI(flags)
    }),
  )
  withExamples(
    withLogin(client.command('sockets').description('list the sockets that you may reach')).addOption(outputOption()),
    'postern client sockets',
  ).action(
    act(async (flags: LoginFlags & OutputFlags) => {
      const { runSockets } = await import('./client-sockets.ts')
      return runSockets(flags)
    }),
  )
  withExamples(
    withLogin(client.command('token').description('print a token for kubectl (its credential plugin)')),
    'postern client token --portal https://postern.example.com',
  ).action(
    act(async (flags: LoginFlags) => {
      const { printToken } = await import('./token-lane.ts')
      await printToken(toTokenRequest(flags))
      return EXIT.ok
    }),
  )
  const kubeconfig = client.command('kubeconfig').description('bring sockets into your kubeconfig').helpCommand(false)
  addKubeconfigCommands(kubeconfig, act)
}

function addKubeconfigCommands(kubeconfig: Command, act: Act): void {
  withExamples(
    withLogin(
      kubeconfig
        .command('set')
        .description('write a cluster, a user and a context for each socket')
        .argument('[SOCKET...]', 'sockets; when none is named you are asked, or without a terminal it is all'),
    )
      .option('--all', 'all sockets that you may reach, without a question')
      .addOption(kubeconfigOption())
      .option('--namespace <NAMESPACE>', 'default namespace of the contexts')
      .option('--context-name <TEMPLATE>', 'name of the contexts; may hold {socket} and {portal}', '{socket}')
      .option('--use-context', 'make the (first) context the current one; done anyway when there is none')
      .addOption(outputOption()),
    'postern client kubeconfig set --all',
    "postern client kubeconfig set production --context-name 'ana@{socket}' --namespace payments --use-context",
  ).action(
    act(async (sockets: string[], flags: KubeconfigSetFlags) => {
      const { runKubeconfigSet } = await import('./client-kubeconfig.ts')
      return runKubeconfigSet(sockets, flags)
    }),
  )
  withExamples(
    kubeconfig
      .command('unset')
      .description('remove what set wrote')
      .argument('[CONTEXT...]', 'contexts; all of Postern when none is named')
      .addOption(portalOption())
      .addOption(kubeconfigOption())
      .addOption(outputOption()),
    'postern client kubeconfig unset production',
  ).action(
    act(async (contexts: string[], flags: KubeconfigUnsetFlags) => {
      const { runKubeconfigUnset } = await import('./client-kubeconfig.ts')
      return runKubeconfigUnset(contexts, flags)
    }),
  )
}

function withLogin(command: Command): Command {
  return command.addOption(portalOption()).addOption(issuerOption()).addOption(cacheDirectoryOption())
}
