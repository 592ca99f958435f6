import { once } from 'node:events'
import { readAsciicast } from '../audit/playback/asciicast-reader.ts'
import { FOLLOWING_ENDED } from '../audit/recording/following-ended.ts'
import { TerminalSanitizer } from '../audit/playback/terminal-sanitizer.ts'
import { ClientError } from '../client/client-error.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags } from './flags.ts'
import { chooseSession } from './session-choice.ts'
import { printNotice } from './terminal.ts'

/**
 * Follows a session on stdout until it ends or ctrl-C is pressed; what could act on the terminal is left out. Nothing
 * is sent into the session.
 *
 * @throws ClientError when following breaks off before the session ends.
 */
export async function runSessionsWatch(beginning: string, flags: LoginFlags): Promise<ExitCode> {
  const leaving = new AbortController()
  const leave = (): void => {
    leaving.abort()
  }
  const { stdout } = process
  const sanitizer = new TerminalSanitizer()
  process.once('SIGINT', leave).once('SIGTERM', leave)
  stdout.on('error', leave)
  try {
    const { listSessions, followSession } = await connectSignedIn(toTokenRequest(flags))
    const { id, session } = chooseSession((await listSessions()).items, beginning)
    const { header, events } = await readAsciicast(await followSession(id, leaving.signal))
    printNotice(`You watch session ${id}${session === null ? '' : ` of ${session.spec.username}`}; ctrl-C leaves.`)
    if (stdout.isTTY && (stdout.columns < header.width || stdout.rows < header.height))
      printNotice(
        `Its terminal is ${header.width}x${header.height}, yours ${stdout.columns}x${stdout.rows}, so it may look wrong.`,
      )
    for await (const { code, data } of events) {
      if (code === 'm' && data.startsWith(FOLLOWING_ENDED)) throw new ClientError('Refused', data)
      if (code === 'o' && !stdout.write(sanitizer.sanitize(data)))
        await once(stdout, 'drain', { signal: leaving.signal })
    }
    stdout.write(sanitizer.restoration())
    printNotice('The session has ended.')
    return EXIT.ok
  } catch (error) {
    stdout.write(sanitizer.restoration())
    if (!leaving.signal.aborted) throw error
    printNotice('You have left; the session goes on.')
    return EXIT.ok
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave)
    stdout.off('error', leave)
  }
}
