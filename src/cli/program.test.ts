import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { createProgram } from './program.ts'

const program = createProgram(() => () => Promise.resolve())
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)]
const commands = all(program).map((command): [string, Command] => [pathOf(command), command])

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

function helpOf(command: Command): string {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text) })
  command.outputHelp()
  return help
}

test.for(commands)('the help of %s says what it does, and shows it', ([path, command]) => {
  expect(command.description()).not.toBe('')
  for (const option of command.options) expect(option.description).not.toBe('')
  if (command.commands.length > 0 && command.parent !== null) return
  expect(helpOf(command)).toMatch(new RegExp(`Examples:\n(  .*\n)*.*${path.split(' ', 1)[0] ?? ''}`))
})

test.for(commands)('the examples of %s are commands that exist, with flags that exist', ([, command]) => {
  const examples = helpOf(command).split('Examples:\n')[1]?.split('\n') ?? []
  for (const line of examples.filter((text) => text.trim() !== '')) {
    const words = line
      .trim()
      .replace(/^source <\(/, '')
      .replace(/ -- .*/, '')
      .split(/[ )]+/)
    const reached = words
      .slice(1)
      .reduce<Command>((at, word) => at.commands.find((child) => child.name() === word) ?? at, program)
    expect(reached, line).not.toBe(program)
    const flags = reached.options.flatMap(({ short, long }) => [short, long])
    for (const word of words.filter((one) => one.startsWith('-'))) expect(flags, line).toContain(word)
  }
})
