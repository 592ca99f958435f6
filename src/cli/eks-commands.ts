import { Option, type Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import type { EksAwsAuthFlags } from './eks-aws-auth.ts'
import type { EksCheckFlags } from './eks-check.ts'
import type { EksDiscoverFlags } from './eks-discover.ts'
import { withAws, withCluster } from './eks-flags.ts'
import { outputOption } from './flags.ts'

/** EKS: which clusters there are, and how the connector is let in. */
export function addEksCommands(eks: Command, act: Act): void {
  withExamples(
    withAws(
      eks
        .command('discover')
        .description('list the EKS clusters of regions, with socket blocks for the connector document')
        .addOption(listOption('--region <REGION>', 'region to look in; may be repeated; else $AWS_REGION')),
    ).addOption(
      new Option('-o, --output <FORMAT>', 'how to print the result').choices(['text', 'json', 'yaml']).default('text'),
    ),
    'postern eks discover --region eu-west-1',
    'postern eks discover --region eu-west-1 --region us-east-1 --profile prod -o yaml',
  ).action(
    act(async (flags: EksDiscoverFlags) => {
      const { runEksDiscover } = await import('./eks-discover.ts')
      return runEksDiscover(flags)
    }),
  )
  withExamples(
    withCluster(
      eks
        .command('aws-auth')
        .description('show, or make, the mapping that lets the role of the connector into a cluster')
        .requiredOption('--role <ARN>', 'role of the connector')
        .addOption(
          new Option('--as <ACCESS>', 'what the role shall be; all three ways are shown without it').choices([
            'admin',
            'group',
            'least',
          ]),
        )
        .option('--group <GROUP>', 'with --as group: a group that the cluster gives rights to')
        .addOption(
          listOption('--impersonate-group <GROUP>', 'with --as least: group of people to act as; may be repeated'),
        )
        .option('--file <FILE>', 'manifest of aws-auth to edit; the result goes to stdout'),
    )
      .option('--apply', 'change the cluster, after showing what changes')
      .option('-y, --yes', 'do not ask'),
    'postern eks aws-auth --role arn:aws:iam::123456789012:role/postern',
    'postern eks aws-auth --role arn:aws:iam::123456789012:role/postern --as admin --file aws-auth.yaml',
    'postern eks aws-auth --role arn:aws:iam::123456789012:role/postern --as least --impersonate-group dev --cluster prod --region eu-west-1 --apply',
  ).action(
    act(async (flags: EksAwsAuthFlags) => {
      const { runEksAwsAuth } = await import('./eks-aws-auth.ts')
      return runEksAwsAuth(flags)
    }),
  )
  withExamples(
    withCluster(
      eks
        .command('check')
        .description('go the way of a request to a cluster, and say where it ends and what is missing')
        .option('--config <FILE>', 'connector document whose socket is meant, in place of --cluster')
        .option('--socket <SOCKET>', 'socket of that document, where several lead to EKS'),
    ).addOption(outputOption()),
    'postern eks check --config connector.yaml --socket production',
    'postern eks check --cluster prod --region eu-west-1 -o json',
  ).action(
    act(async (flags: EksCheckFlags) => {
      const { runEksCheck } = await import('./eks-check.ts')
      return runEksCheck(flags)
    }),
  )
}

function listOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((value, before: readonly string[]) => [...before, value])
    .default([], 'none')
}
