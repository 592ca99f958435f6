/** What a unit has of its own. Paths are absolute. */
export interface UnitOptions {
  /** Node.js, and the file that is the command: `postern` without a search path. */
  readonly command: readonly [node: string, main: string]
  /** The connector document. */
  readonly config: string
  /** Variables that it has besides those of systemd, where there is such a file. */
  readonly environmentFile: string
  /** How long the connector serves on after it was told to stop, in milliseconds: shutdown delay and drain timeout. */
  readonly endMs: number
  /** Directories outside of `/var/lib/postern` that it writes to. */
  readonly writable: readonly string[]
  /** Whether it listens below port 1024. */
  readonly privilegedPort: boolean
}

/** Name of the unit, and of the user that it runs as. */
export const UNIT = 'postern.service'
export const USER = 'postern'

/** Directories whose files the service does not see, as {@link renderUnit} has it. */
const HIDDEN = {
  '/home': 'ProtectHome',
  '/root': 'ProtectHome',
  '/run/user': 'ProtectHome',
  '/tmp': 'PrivateTmp',
  '/var/tmp': 'PrivateTmp',
} as const

/** Why the service does not see a file at an absolute path, as one phrase; empty when it does. */
export function whyHidden(path: string): string {
  const found = Object.entries(HIDDEN).find(([directory]) => `${path}/`.startsWith(`${directory}/`))
  return found === undefined ? '' : `in ${found[0]}, which the service does not see (${found[1]}=yes in its unit)`
}

/** Time for what ends after the drain: the trail, and recordings that are still on their way to a bucket. */
const END_SECONDS = 30
/** Two for each connection of the default limit, its own and its upstream's. */
const OPEN_FILES = 65_536

/** For `systemd-sysusers`: a user without a home of its own, and a group of the same name. */
export const SYSUSERS = `u ${USER} - "Postern connector" /var/lib/postern /usr/sbin/nologin\n`

/**
 * The unit of a connector: a user of its own that can write to `/var/lib/postern` and see `/etc/postern`, and nothing else.
 *
 * @see systemd.exec(5), systemd.service(5). MemoryDenyWriteExecute is left out, since a just-in-time compiler needs the
 * opposite, and PrivateUsers, which fails where user namespaces are switched off.
 */
export function renderUnit({ command, config, environmentFile, endMs, writable, privilegedPort }: UnitOptions): string {
  const postern = command.map(quotedArgument).join(' ')
  const document = quotedArgument(config)
  const capability = privilegedPort ? 'CAP_NET_BIND_SERVICE' : ''
  return `# Written by: postern connector install
[Unit]
Description=Postern connector, an authorizing gateway to Kubernetes clusters
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=5min
StartLimitBurst=10

[Service]
Type=exec
ExecStartPre=${postern} connector check --config ${document}
ExecStart=${postern} connector start --config ${document}
EnvironmentFile=-${pattern(environmentFile)}
User=${USER}
Group=${USER}
UMask=0077
WorkingDirectory=/var/lib/postern
StateDirectory=postern
StateDirectoryMode=0700
${writable.map((directory) => `ReadWritePaths=${quoted(directory)}\n`).join('')}LimitNOFILE=${OPEN_FILES}
Restart=on-failure
RestartSec=5s
KillMode=mixed
TimeoutStopSec=${Math.ceil(endMs / 1000) + END_SECONDS}s

NoNewPrivileges=yes
CapabilityBoundingSet=${capability}
AmbientCapabilities=${capability}
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
}

/** A word of a unit file, in which `%` begins a specifier, and white space and quotes end a word. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  return /^[\w@%:=.,+/$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`
}

/** A path where unit files have patterns for paths, which end with their line. */
function pattern(path: string): string {
  return path.replaceAll('%', '%%').replaceAll(/[*?[\\]/g, '\\$&')
}

/** A word of a command line, in which `$` begins a variable too. */
function quotedArgument(word: string): string {
  return quoted(word).replaceAll('$', '$$$$')
}
