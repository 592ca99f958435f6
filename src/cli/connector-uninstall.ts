import { access, rm } from 'node:fs/promises'
import { ClientError } from '../client/client-error.ts'
import { SYSUSERS_FILE, UNIT_FILE } from './connector-install.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { Systemd } from './systemd.ts'
import { UNIT, USER } from './systemd-unit.ts'
import { printLine } from './terminal.ts'

export interface ConnectorUninstallFlags {
  readonly root: string
}

/**
 * Stops the service and takes back what `install` wrote. The document, the evidence and the user that owns it stay.
 *
 * @throws ClientError when there is no systemd, or no right to.
 */
export async function runConnectorUninstall({ root }: ConnectorUninstallFlags): Promise<ExitCode> {
  const systemd = await Systemd.open(root)
  const unit = systemd.path(UNIT_FILE)
  const installed = await access(unit).then(
    () => true,
    () => false,
  )
  if (!installed) {
    printLine(`${UNIT} is not installed`)
    return EXIT.ok
  }
  await systemd.control('disable', '--quiet', ...(systemd.live ? ['--now'] : []), UNIT)
  try {
    await rm(unit)
    await rm(systemd.path(SYSUSERS_FILE), { force: true })
  } catch (error) {
    throw new ClientError('BadArgument', `${unit} cannot be removed; this needs root`, { cause: error })
  }
  if (systemd.live) await systemd.control('daemon-reload')
  printLine(`${UNIT} is gone; /etc/postern, /var/lib/postern and the user ${USER} stay`)
  return EXIT.ok
}
