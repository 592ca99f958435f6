import type { Command, Option } from 'commander'

/** What can be typed at one place of the command tree. */
export interface Place {
  /** The commands that lead there, each with a space before it; empty for the root. */
  readonly path: string
  /** Commands, or the values of an argument where those are known. */
  readonly words: readonly { readonly word: string; readonly description: string }[]
  readonly flags: readonly Flag[]
}

export interface Flag {
  /** Dashes included, the long one last. */
  readonly names: readonly string[]
  readonly description: string
  /** What stands behind it, told from the placeholder. */
  readonly value: 'none' | 'file' | 'directory' | 'choice' | 'text'
  /** Of `choice`. */
  readonly choices: readonly string[]
}

/** All places of a command tree, the root first. */
export function placesOf(command: Command, path = ''): readonly Place[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const own: Place = {
    path,
    words: [
      ...commands.map((child) => ({ word: child.name(), description: child.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [] }) =>
        argChoices.map((word) => ({ word, description: '' })),
      ),
    ],
    flags: help.visibleOptions(command).map(toFlag),
  }
  return [own, ...commands.flatMap((child) => placesOf(child, `${path} ${child.name()}`))]
}

function toFlag(option: Option): Flag {
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: option.description,
    value: valueOf(option),
    choices: option.argChoices ?? [],
  }
}

function valueOf({ flags, required, optional, argChoices }: Option): Flag['value'] {
  if (!required && !optional) return 'none'
  if (argChoices !== undefined) return 'choice'
  if (flags.endsWith('<FILE>')) return 'file'
  return flags.endsWith('<DIRECTORY>') ? 'directory' : 'text'
}
