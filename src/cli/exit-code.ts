/** What the process says at its end; every command keeps to this table. */
export const EXIT = {
  ok: 0,
  /** What was asked for did not happen. */
  failure: 1,
  /** Wrong arguments (EX_USAGE of BSD sysexits). */
  usage: 64,
  /** Evidence is not as it was written (EX_DATAERR). */
  altered: 65,
  /** Something is wrong with a document (EX_CONFIG). */
  configuration: 78,
  /** Nobody reads what it prints any more: as a shell tells of SIGPIPE, 128 + 13. */
  brokenPipe: 141,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
