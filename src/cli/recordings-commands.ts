import { InvalidArgumentError, Option, type Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import { cacheDirectoryOption, issuerOption, outputOption, portalOption } from './flags.ts'
import type { RecordingsExportFlags } from './recordings-export.ts'
import type { RecordingsListFlags } from './recordings-list.ts'
import type { RecordingsPlayFlags } from './recordings-play.ts'
import type { RecordingsShowFlags } from './recordings-show.ts'
import type { RecordingsVerifyFlags } from './recordings-verify.ts'

/** What sessions left behind: from a portal, or from a directory of recordings. */
export function addRecordingsCommands(recordings: Command, act: Act): void {
  withExamples(
    withSource(recordings.command('list').description('list recordings, the newest first'))
      .option('--user <USERNAME>', 'of this person, or acting as them')
      .option('--socket <SOCKET>', 'through this socket')
      .option('-n, --namespace <NAMESPACE>', 'in this namespace')
      .option('--pod <POD>', 'in this pod')
      .option('--since <TIME>', 'begun since, such as 24h or 2026-07-01T08:00:00Z')
      .addOption(keyOption())
      .addOption(outputOption()),
    'postern recordings list --since 24h --namespace payments',
    'postern recordings list --directory /var/lib/postern/recordings --user ana@example.com -o json',
  ).action(
    act(async (flags: RecordingsListFlags) => {
      const { runRecordingsList } = await import('./recordings-list.ts')
      return runRecordingsList(flags)
    }),
  )
  withExamples(
    withSource(recordings.command('show').description('print what is known of a session').argument('<ID>', ID))
      .addOption(keyOption())
      .addOption(outputOption()),
    'postern recordings show 5c1f7a2e',
  ).action(
    act(async (id: string, flags: RecordingsShowFlags) => {
      const { runRecordingsShow } = await import('./recordings-show.ts')
      return runRecordingsShow(id, flags)
    }),
  )
  withExamples(
    withSource(
      recordings
        .command('play')
        .description('play a recording in this terminal; without one, print its text')
        .argument('<ID>', ID),
    )
      .addOption(new Option('--speed <FACTOR>', 'how many times as fast').argParser(parseSpeed).default(1))
      .option('--idle-limit <DURATION>', 'longest pause, such as 2s; as recorded when left out')
      .option('--from <DURATION>', 'where to begin, such as 1m30s', '0s')
      .option('--search <TEXT>', 'print when and in which lines a text appears instead, in any case')
      .option('--raw', 'let pass what may act on your terminal: clipboard, titles, links, requests')
      .addOption(keyOption())
      .addOption(outputOption())
      .addHelpText(
        'after',
        '\nKeys: space pauses, left and right go 5s back and forth, up and down change the speed, q ends.',
      ),
    'postern recordings play 5c1f7a2e --idle-limit 2s --speed 2',
    "postern recordings play 5c1f7a2e --search 'DROP TABLE'",
    'postern recordings play 5c1f7a2e --directory recordings/ --key auditor.pem --from 1m30s',
  ).action(
    act(async (id: string, flags: RecordingsPlayFlags) => {
      const { runRecordingsPlay } = await import('./recordings-play.ts')
      return runRecordingsPlay(id, flags)
    }),
  )
  withExamples(
    withSource(recordings.command('export').description('write a recording in another form').argument('<ID>', ID))
      .addOption(
        new Option('--format <FORMAT>', 'asciicast, plain text, or a page that plays in any browser, offline')
          .choices(['asciicast', 'text', 'html'])
          .makeOptionMandatory(),
      )
      .option('--file <FILE>', 'file to write; stdout when left out')
      .option('--raw', 'asciicast only: as it was recorded, with what may act on a terminal, and with what was typed')
      .addOption(keyOption()),
    'postern recordings export 5c1f7a2e --format html --file session.html',
    'postern recordings export 5c1f7a2e --format text --directory recordings/ --key auditor.pem',
  ).action(
    act(async (id: string, flags: RecordingsExportFlags) => {
      const { runRecordingsExport } = await import('./recordings-export.ts')
      return runRecordingsExport(id, flags)
    }),
  )
  withExamples(
    withSource(
      recordings
        .command('verify')
        .description('find out whether recordings are as they were written; ends with 65 when one is not')
        .argument('[ID...]', 'recordings, or how their ids begin; all when none is named'),
    )
      .addOption(
        new Option(
          '--audit-trail <FILE>',
          'also hold the manifests against this trail, and find recordings that are gone; with --directory',
        ).conflicts(['portal', 'issuer', 'cacheDirectory']),
      )
      .addOption(outputOption()),
    'postern recordings verify --directory /var/lib/postern/recordings --audit-trail /var/lib/postern/audit/audit.jsonl',
    'postern recordings verify 5c1f7a2e -o json',
  ).action(
    act(async (ids: string[], flags: RecordingsVerifyFlags) => {
      const { runRecordingsVerify } = await import('./recordings-verify.ts')
      return runRecordingsVerify(ids, flags)
    }),
  )
}

const ID = 'recording, or how its id begins'
const FASTEST = 1000

const keyOption = (): Option => new Option('--key <FILE>', 'private key that opens encrypted recordings (PEM or JWK)')

function withSource(command: Command): Command {
  return command
    .addOption(portalOption())
    .addOption(issuerOption())
    .addOption(cacheDirectoryOption())
    .addOption(
      new Option('--directory <DIRECTORY>', 'recordings that lie here, instead of those of a portal').conflicts([
        'portal',
        'issuer',
        'cacheDirectory',
      ]),
    )
}

function parseSpeed(text: string): number {
  const speed = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (speed === 0 || speed > FASTEST)
    throw new InvalidArgumentError(`It is a number such as 0.5 or 2, at most ${FASTEST}.`)
  return speed
}
