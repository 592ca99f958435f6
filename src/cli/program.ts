import { Command, CommanderError } from 'commander'
import { addClientCommands } from './client-commands.ts'
import { addCompletionCommand } from './completion-command.ts'
import { addConnectorCommands } from './connector-commands.ts'
import { addEksCommands } from './eks-commands.ts'
import { addLoginsCommands } from './logins-commands.ts'
import { addPolicyCommands } from './policy-commands.ts'
import { addRecordingsCommands } from './recordings-commands.ts'
import { addSessionsCommands } from './sessions-commands.ts'
import { withExamples, type Act } from './command.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { outputOption, type OutputFlags } from './flags.ts'
import { reportError } from './report-error.ts'
import { printError, printJSON, printLine } from './terminal.ts'
import { ownVersion } from './version.ts'

/** Runs the command that the arguments name. Errors are printed, not thrown. */
export async function runProgram(args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok
  const program = createProgram((run) => async (...values) => {
    exitCode = await run(...values)
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportError(error)
  }
}

/** The tree of all commands. Nothing that a command needs is loaded before it runs. */
export function createProgram(act: Act): Command {
  const program = new Command('postern')
    .description('A guarded gate to Kubernetes clusters: sign in with SSO, keep using kubectl.')
    .version(`postern ${ownVersion()}`, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      outputError: (message) => {
        const sentence = message
          .trim()
          .replace(/^error: /, '')
          .replaceAll(/\s*\n\s*/g, ' ')
        printError(`${sentence}; --help tells more`)
      },
    })
  const group = (name: string, description: string): Command =>
    program.command(name).description(description).helpCommand(false)
  addClientCommands(group('client', 'sign in, and bring clusters into your kubeconfig'), act)
  addLoginsCommands(group('logins', 'see who is signed in, and revoke logins'), act)
  addSessionsCommands(group('sessions', 'see, follow and end what goes on in pods right now'), act)
  addConnectorCommands(group('connector', 'run the server, and check its documents'), act)
  addEksCommands(group('eks', 'find EKS clusters, and let the connector into them'), act)
  addPolicyCommands(group('policy', 'explain, test and check policies before they are live'), act)
  addRecordingsCommands(group('recordings', 'list, play, export and verify what sessions left behind'), act)

  addCompletionCommand(program, act)
  withExamples(
    program.command('version').description('print the versions of Postern and of Node.js').addOption(outputOption()),
    'postern version -o json',
  ).action(
    act(({ output }: OutputFlags) => {
      if (output === 'json') printJSON({ postern: ownVersion(), node: process.versions.node })
      else printLine(`postern ${ownVersion()} on Node.js ${process.versions.node}`)
      return EXIT.ok
    }),
  )
  withExamples(
    program,
    'postern client login --portal https://postern.example.com',
    'postern client kubeconfig set production --use-context',
    'postern connector start --config connector.yaml',
  )
  return program
}
