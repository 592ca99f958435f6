import { redactSecrets } from '../../kube/redaction.ts'

/** Characters of a command that are kept; the rest is cut and marked. */
const MAX_COMMAND_CHARS = 16_384

/** Arguments that are kept. */
const MAX_ARGUMENTS = 1000

/** As {@link redactSecrets} knows the arguments of a command from the query of an exec. */
const SEPARATOR = '&command='

/**
 * The argv of a command as it may be kept: what the audit trail takes for a secret is replaced, and what is too long
 * cut. It is looked at word by word, also inside of an argument such as a script for `sh -c`, so that a secret hides
 * no more than itself.
 */
export function redactCommand(command: readonly string[]): string[] {
  let room = MAX_COMMAND_CHARS
  const kept: string[] = []
  for (const argument of command) {
    if (room <= 0 || kept.length === MAX_ARGUMENTS) {
      kept.push(`… (${command.length} arguments)`)
      break
    }
    kept.push(argument.length <= room ? argument : `${argument.slice(0, room)}… (${argument.length} characters)`)
    room -= argument.length
  }
  // Odd places hold the white space between words; an argument begins with a word, be it empty.
  const pieces = kept.map((argument) => argument.toWellFormed().split(/(\s+)/))
  const words = pieces.flatMap((parts) => parts.filter((_, i) => i % 2 === 0))
  const redacted = redactSecrets(words.map((word) => encodeURIComponent(word)).join(SEPARATOR)).split(SEPARATOR)
  let next = 0
  return pieces.map((parts) =>
    parts.map((part, i) => (i % 2 === 0 ? decodeURIComponent(redacted[next++] ?? '') : part)).join(''),
  )
}
