import { mkdir, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { replaceFile } from '../client/atomic-file.ts'
import { ClientError } from '../client/client-error.ts'
import { inspectConnector } from '../config/check-connector.ts'
import type { ConnectorConfig } from '../config/connector-config.ts'
import { loadConnectorConfig } from '../config/load-connector-config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { DocumentError, type Mistake, renderMistake } from '../document/document.ts'
import { readEnvironmentFile } from './environment-file.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { Systemd, exists } from './systemd.ts'
import { SYSUSERS, UNIT, USER, type UnitOptions, renderUnit, whyHidden } from './systemd-unit.ts'
import { printLine, printNotice } from './terminal.ts'

export interface ConnectorInstallFlags {
  readonly config: string
  readonly root: string
  readonly start: boolean
  readonly dryRun: boolean
}

/** Where the two files are. */
export const UNIT_FILE = `/etc/systemd/system/${UNIT}`
export const SYSUSERS_FILE = '/etc/sysusers.d/postern.conf'

const STATE_DIRECTORY = '/var/lib/postern'
/** Ports below are kept for processes that may have them. */
const FIRST_FREE_PORT = 1024
/** What systemd gives to a service without a word about it, as far as programs look for it. */
const OWN_VARIABLES = {
  HOME: STATE_DIRECTORY,
  LANG: 'C.UTF-8',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  STATE_DIRECTORY,
}

/**
 * Makes a connector a service of this machine: a user, a unit, both only where they are not so already, and starts it.
 *
 * @throws DocumentError when the service could not start with its document; ClientError when there is no systemd.
 */
export async function runConnectorInstall(flags: ConnectorInstallFlags): Promise<ExitCode> {
  const systemd = flags.dryRun ? null : await Systemd.open(flags.root)
  const config = resolve(flags.config)
  const inSystem = await pathsIn(flags.root)
  const command = await commandOf(config, flags.root, inSystem)
  const environmentFile = join(dirname(config), 'environment')
  const environment = { ...OWN_VARIABLES, ...(await readEnvironmentFile(environmentFile)) }
  const document = await readDocument(config, environmentFile, {
    home: STATE_DIRECTORY,
    environment,
    nowMs: Date.now(),
    whyHidden: (path) => whyHidden(inSystem(path)),
  })
  const options = unitOptions(document, {
    command,
    config: inSystem(config),
    environmentFile: inSystem(environmentFile),
  })
  const unit = renderUnit(options)
  if (systemd === null) {
    printLine(`# ${SYSUSERS_FILE}`)
    for (const line of SYSUSERS.trimEnd().split('\n')) printLine(line)
    printLine(`\n# ${UNIT_FILE}`.trim())
    for (const line of unit.trimEnd().split('\n')) printLine(line)
    return EXIT.ok
  }
  const newUser = await put(systemd, SYSUSERS_FILE, SYSUSERS)
  if (newUser) await systemd.makeUsers(basename(SYSUSERS_FILE))
  for (const directory of options.writable) await make(systemd, directory)
  if (systemd.live) await checkAsUser(systemd, options, environment)
  else printLine(`The files that the document names, keys too, have to be readable for the user ${USER}`)
  const newUnit = await put(systemd, UNIT_FILE, unit)
  if (systemd.live && newUnit) await systemd.control('daemon-reload')
  await systemd.control('enable', '--quiet', UNIT)
  if (systemd.live && flags.start) {
    await systemd.control(newUnit ? 'restart' : 'start', UNIT)
    printLine(`${UNIT} runs; \`postern connector status\` says how it is, \`journalctl -u ${UNIT}\` what it says`)
  } else {
    printLine(`${UNIT} starts with the machine`)
  }
  return EXIT.ok
}

/** What a path of this machine is in the system whose tree is in `root`. */
async function pathsIn(root: string): Promise<(path: string) => string> {
  const trees = [resolve(root), await realpath(root).catch(() => resolve(root))].filter((tree) => tree !== '/')
  return (path) => {
    const tree = trees.find((one) => path.startsWith(`${one}/`))
    return tree === undefined ? path : path.slice(tree.length)
  }
}

/**
 * The document as the service reads it.
 *
 * @throws DocumentError
 */
async function readDocument(
  config: string,
  environmentFile: string,
  surroundings: Surroundings,
): Promise<ConnectorConfig> {
  const { mistakes, warnings } = await inspectConnector(config, surroundings)
  for (const warning of warnings) printNotice(`warning: ${renderMistake(warning)}`)
  if (mistakes.some(({ path }) => path.endsWith('.env')))
    printNotice(`The service has no variables but those in ${environmentFile}: NAME=VALUE, one a line, mode 0600`)
  if (mistakes.length > 0) throw new DocumentError(mistakes)
  return loadConnectorConfig(config, surroundings)
}

/**
 * Node.js, and the file that is the command. What is outside of the tree of another system stands for what that has in
 * the same place.
 *
 * @throws ClientError when the service would not see one of them, or the document.
 */
async function commandOf(
  config: string,
  root: string,
  inSystem: (path: string) => string,
): Promise<UnitOptions['command']> {
  const main = await realpath(
    fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? 'main.ts' : 'main.js', import.meta.url)),
  )
  const node = await realpath(process.execPath)
  const isOwn = resolve(root) === '/'
  for (const [what, path, isKnown] of [
    ['the document', config, true],
    ['the document', await realpath(config).catch(() => config), true],
    ['Node.js', node, isOwn || inSystem(node) !== node],
    ['postern', main, isOwn || inSystem(main) !== main],
  ] as const) {
    const why = isKnown ? whyHidden(inSystem(path)) : ''
    if (why !== '')
      throw new ClientError(
        'BadArgument',
        `${what} is ${path}, ${why}; put it elsewhere, such as /usr/local or /etc/postern`,
      )
  }
  return [node, main]
}

function unitOptions(
  document: ConnectorConfig,
  places: Pick<UnitOptions, 'command' | 'config' | 'environmentFile'>,
): UnitOptions {
  const { listen, limits } = document
  const ports = [listen.kubernetes, listen.portal, listen.ops].map(({ address }) => address.port)
  return {
    ...places,
    endMs: limits.shutdownDelayMs + limits.drainTimeoutMs,
    writable: writtenDirectories(document).filter((path) => !`${path}/`.startsWith(`${STATE_DIRECTORY}/`)),
    privilegedPort: ports.some((port) => port > 0 && port < FIRST_FREE_PORT),
  }
}

function writtenDirectories({ audit, recordings, loginsDirectory }: ConnectorConfig): string[] {
  const store = recordings?.store
  return [
    ...(loginsDirectory === null ? [] : [loginsDirectory]),
    ...(audit.trail.kind === 'directory' ? [audit.trail.path] : []),
    ...(store === undefined ? [] : [store.kind === 'directory' ? store.path : store.spool]),
  ]
}

/**
 * What the service would fail for, most often a key that its user cannot read, is told before it is started.
 *
 * @throws DocumentError
 */
async function checkAsUser(
  systemd: Systemd,
  { command, config }: UnitOptions,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const argv = [...command, 'connector', 'check', '--config', config, '--output', 'json']
  const { mistakes } = JSON.parse(await systemd.outputAs(USER, argv, environment)) as {
    readonly mistakes: readonly Mistake[]
  }
  if (mistakes.length === 0) return
  printLine(
    `The user ${USER} cannot use this document; where it cannot read a file: chgrp ${USER} FILE; chmod 0640 FILE`,
  )
  throw new DocumentError(mistakes)
}

/** A unit does not start while a directory is missing that it may write to. */
async function make(systemd: Systemd, directory: string): Promise<void> {
  if (await exists(systemd.path(directory))) return
  if (systemd.live) {
    await systemd.makeDirectory(directory, USER)
    printLine(`${directory} is made, for the user ${USER}`)
  } else {
    printLine(`${systemd.path(directory)} has to be made, for the user ${USER}`)
  }
}

/** Whether the file was not so before. */
async function put(systemd: Systemd, path: string, text: string): Promise<boolean> {
  const place = systemd.path(path)
  const before = await readFile(place, 'utf8').catch(() => null)
  if (before === text) {
    printLine(`${place} is as it should be`)
    return false
  }
  try {
    await mkdir(dirname(place), { recursive: true })
    replaceFile(place, text, 0o644)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new ClientError('BadArgument', `${place} cannot be written (${code}); this needs root`, { cause: error })
  }
  printLine(`${place} ${before === null ? 'is written' : 'is replaced'}`)
  return true
}
