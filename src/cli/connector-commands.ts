import { Option, type Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import type { ConnectorCheckFlags } from './connector-check.ts'
import type { ConnectorStartFlags } from './connector-start.ts'
import { outputOption } from './flags.ts'

/** What runs on the server. */
export function addConnectorCommands(connector: Command, act: Act): void {
  withExamples(
    connector
      .command('start')
      .description('run the connector until it is told to stop')
      .addOption(configOption())
      .addOption(
        new Option('--log-level <LEVEL>', 'least level of what is logged to stderr')
          .choices(['debug', 'info', 'warn', 'error'])
          .default('info'),
      ),
    'postern connector start --config /etc/postern/connector.yaml',
  ).action(
    act(async (flags: ConnectorStartFlags) => {
      const { runConnectorStart } = await import('./connector-start.ts')
      return runConnectorStart(flags)
    }),
  )
  withExamples(
    connector
      .command('check')
      .description('print everything that is wrong with a connector document, its files and its policies')
      .addOption(configOption())
      .addOption(outputOption()),
    'postern connector check --config connector.yaml',
    'postern connector check --config connector.yaml -o json',
  ).action(
    act(async (flags: ConnectorCheckFlags) => {
      const { runConnectorCheck } = await import('./connector-check.ts')
      return runConnectorCheck(flags)
    }),
  )
}

const configOption = (): Option => new Option('--config <FILE>', 'connector document').makeOptionMandatory()
