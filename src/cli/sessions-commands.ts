import type { Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import { cacheDirectoryOption, issuerOption, outputOption, portalOption, type LoginFlags } from './flags.ts'
import type { SessionsEndFlags } from './sessions-end.ts'
import type { SessionsListFlags } from './sessions-list.ts'
import type { SessionsShowFlags } from './sessions-show.ts'

/** What goes on right now: exec, attach and port-forward. */
export function addSessionsCommands(sessions: Command, act: Act): void {
  withExamples(
    withLogin(sessions.command('list').description('list the sessions that you may see, your own among them'))
      .option('--user <USERNAME>', 'of this person, or acting as them')
      .option('--socket <SOCKET>', 'through this socket')
      .option('-n, --namespace <NAMESPACE>', 'in this namespace')
      .addOption(outputOption()),
    'postern sessions list',
    'postern sessions list --socket production --namespace payments -o json',
  ).action(
    act(async (flags: SessionsListFlags) => {
      const { runSessionsList } = await import('./sessions-list.ts')
      return runSessionsList(flags)
    }),
  )
  withExamples(
    withLogin(sessions.command('show').description('print what is known of a session').argument('<ID>', ID)).addOption(
      outputOption(),
    ),
    'postern sessions show 5c1f7a2e',
  ).action(
    act(async (id: string, flags: SessionsShowFlags) => {
      const { runSessionsShow } = await import('./sessions-show.ts')
      return runSessionsShow(id, flags)
    }),
  )
  withExamples(
    withLogin(
      sessions
        .command('end')
        .description('end sessions; a terminal is asked first when one is not your own')
        .argument('<ID...>', 'sessions, or how their ids begin'),
    )
      .option('--reason <TEXT>', 'why, for the people whose sessions they are')
      .option('-y, --yes', 'do not ask'),
    'postern sessions end 5c1f7a2e',
    "postern sessions end 5c1f7a2e 9be01d44 --reason 'maintenance begins' --yes",
  ).action(
    act(async (ids: string[], flags: SessionsEndFlags) => {
      const { runSessionsEnd } = await import('./sessions-end.ts')
      return runSessionsEnd(ids, flags)
    }),
  )
  withExamples(
    withLogin(
      sessions
        .command('watch')
        .description('follow a session in this terminal as it goes on, without a hand in it; ctrl-C leaves')
        .argument('<ID>', ID),
    ),
    'postern sessions watch 5c1f7a2e',
  ).action(
    act(async (id: string, flags: LoginFlags) => {
      const { runSessionsWatch } = await import('./sessions-watch.ts')
      return runSessionsWatch(id, flags)
    }),
  )
}

const ID = 'session, or how its id begins'

function withLogin(command: Command): Command {
  return command.addOption(portalOption()).addOption(issuerOption()).addOption(cacheDirectoryOption())
}
