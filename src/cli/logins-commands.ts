import type { Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import { cacheDirectoryOption, issuerOption, outputOption, portalOption } from './flags.ts'
import type { LoginsListFlags } from './logins-list.ts'
import type { LoginsRevokeFlags } from './logins-revoke.ts'
import type { LoginsShowFlags } from './logins-show.ts'

/** Who is signed in, as the connector sees it. */
export function addLoginsCommands(logins: Command, act: Act): void {
  withExamples(
    withLogin(logins.command('list').description('list the logins that you may see, your own among them'))
      .option('--user <USERNAME>', 'of this person')
      .option('--all', 'also those that expired or were revoked')
      .addOption(outputOption()),
    'postern logins list',
    'postern logins list --user boris@example.com --all -o json',
  ).action(
    act(async (flags: LoginsListFlags) => {
      const { runLoginsList } = await import('./logins-list.ts')
      return runLoginsList(flags)
    }),
  )
  withExamples(
    withLogin(
      logins
        .command('show')
        .description('print what is known of a login')
        .argument('<ID>', 'login, or how its id begins; current is your own'),
    ).addOption(outputOption()),
    'postern logins show current',
  ).action(
    act(async (id: string, flags: LoginsShowFlags) => {
      const { runLoginsShow } = await import('./logins-show.ts')
      return runLoginsShow(id, flags)
    }),
  )
  withExamples(
    withLogin(
      logins
        .command('revoke')
        .description('end logins and all that is open with them; a terminal is asked first when one is not your own')
        .argument('[ID...]', 'logins, or how their ids begin'),
    )
      .option('--user <USERNAME>', 'all logins of this person')
      .option('--reason <TEXT>', 'why, for the people whose logins they are')
      .option('-y, --yes', 'do not ask'),
    'postern logins revoke 5c1f7a2e',
    "postern logins revoke --user boris@example.com --reason 'the laptop was stolen' --yes",
  ).action(
    act(async (ids: string[], flags: LoginsRevokeFlags) => {
      const { runLoginsRevoke } = await import('./logins-revoke.ts')
      return runLoginsRevoke(ids, flags)
    }),
  )
}

function withLogin(command: Command): Command {
  return command.addOption(portalOption()).addOption(issuerOption()).addOption(cacheDirectoryOption())
}
