import { Option, type Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import { outputOption } from './flags.ts'
import { opsOption } from './ops-option.ts'
import type { PolicyCheckFlags } from './policy-check.ts'
import type { PolicyExplainFlags } from './policy-explain.ts'
import type { PolicyExportFlags } from './policy-export.ts'
import type { PolicyStatusFlags } from './policy-status.ts'
import type { PolicyTestFlags } from './policy-test.ts'

/** What policies say, before they are live and while they are. */
export function addPolicyCommands(policy: Command, act: Act): void {
  withExamples(
    withSource(
      policy
        .command('explain')
        .description('print what policies say of a request, and why')
        .argument('[REQUEST...]', 'as kubectl takes it, or as METHOD TARGET behind --')
        .allowUnknownOption(),
    )
      .option('--user <USERNAME>', 'who asks', 'somebody')
      .addOption(listOption('--group <GROUP>', 'group of who asks; may be repeated'))
      .addOption(listOption('--extra <KEY=VALUE>', 'further claim of who asks; may be repeated'))
      .option('--socket <SOCKET>', 'socket that is asked; may be left out where there is only one')
      .option('--source-ip <ADDRESS>', 'address of who asks', '127.0.0.1')
      .option('--at <TIME>', 'when, such as 2026-07-01T08:00:00Z; now when it is left out')
      .option('--requests <FILE>', 'answer each line {"method", "target"} of a file, - for stdin, with a line of JSON')
      .option('-n, --namespace <NAMESPACE>', 'namespace of the request')
      .addOption(outputOption()),
    'postern policy explain --policy policies/ --user ana@example.com --group payments-dev get pods/web -n prod',
    'postern policy explain --config connector.yaml --user ana@example.com --socket production exec web -n prod',
    "postern policy explain --policy p.yaml --user ana@example.com -o json -- GET '/api/v1/namespaces/x/pods?watch=1'",
    'postern policy explain --policy p.yaml --user ana@example.com --requests requests.jsonl',
  ).action(
    act(async (words: string[], flags: PolicyExplainFlags) => {
      const { runPolicyExplain } = await import('./policy-explain.ts')
      return runPolicyExplain(words, flags)
    }),
  )
  withExamples(
    withSource(
      policy.command('test').description('run the tests that policies have').argument('[FILE...]', FILES),
    ).addOption(outputOption()),
    'postern policy test policies/',
    'postern policy test --config connector.yaml -o json',
  ).action(
    act(async (files: string[], flags: PolicyTestFlags) => {
      const { runPolicyTest } = await import('./policy-test.ts')
      return runPolicyTest(files, flags)
    }),
  )
  withExamples(
    withSource(
      policy
        .command('check')
        .description('print what is wrong with policies, or probably not meant so')
        .argument('[FILE...]', FILES),
    )
      .option(
        '--discovery <FILE>',
        'what a cluster serves, as kubectl api-resources -o json or get --raw /apis prints it',
      )
      .option('--strict', 'fail for warnings too')
      .addOption(
        new Option('-o, --output <FORMAT>', 'how to print the result')
          .choices(['text', 'json', 'sarif', 'github'])
          .default('text'),
      ),
    'postern policy check policies/',
    'postern policy check --config connector.yaml --strict -o github',
    'postern policy check --discovery resources.json -o sarif policies/',
  ).action(
    act(async (files: string[], flags: PolicyCheckFlags) => {
      const { runPolicyCheck } = await import('./policy-check.ts')
      return runPolicyCheck(files, flags)
    }),
  )
  withExamples(
    withSource(
      policy
        .command('export')
        .description('write policies in the form of another engine')
        .argument('[FILE...]', FILES)
        .requiredOption('--casbin <DIRECTORY>', 'write model.conf and policy.csv, which the casbin library loads'),
    ),
    'postern policy export --casbin casbin/ policies/',
  ).action(
    act(async (files: string[], flags: PolicyExportFlags) => {
      const { runPolicyExport } = await import('./policy-export.ts')
      return runPolicyExport(files, flags)
    }),
  )
  withExamples(
    policy
      .command('status')
      .description('print which policy a running connector decides by, and whether files say the same')
      .argument('[FILE...]', FILES)
      .addOption(opsOption())
      .addOption(outputOption()),
    'postern policy status',
    'postern policy status policies/*.yaml',
    'kubectl port-forward deployment/postern 9443 & postern policy status --ops http://127.0.0.1:9443 -o json',
  ).action(
    act(async (files: string[], flags: PolicyStatusFlags) => {
      const { runPolicyStatus } = await import('./policy-status.ts')
      return runPolicyStatus(files, flags)
    }),
  )
}

const FILES = 'policies: files, directories, or patterns such as policies/*.yaml, Kubernetes manifests too'

function withSource(command: Command): Command {
  return command
    .addOption(listOption('--policy <FILE>', 'policies: a file, a directory or a pattern; may be repeated'))
    .option('--config <FILE>', 'connector document whose policies are meant')
}

function listOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((value, before: readonly string[]) => [...before, value])
    .default([], 'none')
}
