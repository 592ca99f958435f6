import { createInterface } from 'node:readline/promises'
import type { LiveSession } from '../client/portal.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { reportError } from './report-error.ts'
import { chooseSession, type ChosenSession } from './session-choice.ts'
import { printable, printLine, printNotice } from './terminal.ts'

export interface SessionsEndFlags extends LoginFlags {
  readonly reason?: string
  readonly yes?: true
}

/**
 * Ends sessions. All are found before the first is ended; one that cannot be ended does not keep the others from it. On
 * a terminal it asks before it ends what is not the person's own.
 */
export async function runSessionsEnd(beginnings: readonly string[], flags: SessionsEndFlags): Promise<ExitCode> {
  const { listSessions, endSession, whoAmI } = await connectSignedIn(toTokenRequest(flags))
  const { items } = await listSessions()
  const chosen = new Map(beginnings.map((beginning) => chooseSession(items, beginning)).map((one) => [one.id, one]))
  if (flags.yes !== true && process.stdin.isTTY && process.stderr.isTTY) {
    const { username } = await whoAmI()
    const others = [...chosen.values()].filter(({ session }) => session?.spec.username !== username)
    if (others.length > 0 && !(await confirm(others))) {
      printNotice('Nothing was ended.')
      return EXIT.failure
    }
  }
  let exitCode: ExitCode = EXIT.ok
  for (const id of chosen.keys()) {
    try {
      await endSession(id, flags.reason ?? '')
      printLine(`session ${id} is ended`)
    } catch (error) {
      exitCode = reportError(error)
    }
  }
  return exitCode
}

async function confirm(sessions: readonly ChosenSession[]): Promise<boolean> {
  for (const { id, session } of sessions) printNotice(`${id}: ${session === null ? 'unknown' : describe(session)}`)
  const what = sessions.length === 1 ? 'this session' : `these ${sessions.length} sessions`
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // At the end of input nothing answers any more.
    const closed = new Promise<string>((resolve) =>
      terminal.once('close', () => {
        resolve('')
      }),
    )
    const answer = await Promise.race([terminal.question(`End ${what}, which are not yours? [y/N] `), closed])
    return /^y(?:es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

function describe({ spec }: LiveSession): string {
  const age = renderHumanDuration(Date.now() - spec.startedAtMs)
  return printable(`${spec.kind} of ${spec.username} in ${spec.namespace}/${spec.pod} on ${spec.socket}, for ${age}`)
}
