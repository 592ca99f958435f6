import { Option, type Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import type { ConnectorCheckFlags } from './connector-check.ts'
import type { ConnectorInstallFlags } from './connector-install.ts'
import type { ConnectorStartFlags } from './connector-start.ts'
import type { ConnectorStatusFlags } from './connector-status.ts'
import type { ConnectorUninstallFlags } from './connector-uninstall.ts'
import { outputOption } from './flags.ts'
import { opsOption } from './ops-option.ts'

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
  withExamples(
    connector
      .command('install')
      .description('make the connector a systemd service of this machine, with a user of its own')
      .addOption(configOption('/etc/postern/connector.yaml'))
      .addOption(rootOption())
      .option('--no-start', 'enable the service, but do not start it')
      .option('--dry-run', 'print the files, and change nothing', false),
    'postern connector install --config /etc/postern/connector.yaml',
    'postern connector install --dry-run',
  ).action(
    act(async (flags: ConnectorInstallFlags) => {
      const { runConnectorInstall } = await import('./connector-install.ts')
      return runConnectorInstall(flags)
    }),
  )
  withExamples(
    connector
      .command('uninstall')
      .description('stop the service and remove it; documents, audit trail and recordings stay')
      .addOption(rootOption()),
    'postern connector uninstall',
  ).action(
    act(async (flags: ConnectorUninstallFlags) => {
      const { runConnectorUninstall } = await import('./connector-uninstall.ts')
      return runConnectorUninstall(flags)
    }),
  )
  withExamples(
    connector
      .command('status')
      .description('print whether the connector is ready, and what systemd says of the service where there is one')
      .addOption(opsOption())
      .addOption(outputOption()),
    'postern connector status',
    'postern connector status -o json',
  ).action(
    act(async (flags: ConnectorStatusFlags) => {
      const { runConnectorStatus } = await import('./connector-status.ts')
      return runConnectorStatus(flags)
    }),
  )
}

const configOption = (usual?: string): Option =>
  new Option('--config <FILE>', 'connector document').default(usual).makeOptionMandatory()

const rootOption = (): Option =>
  new Option('--root <DIRECTORY>', 'system to change, such as the tree of an image; nothing is started there').default(
    '/',
  )
