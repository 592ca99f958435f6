import type { Command } from 'commander'
import { withExamples, type Act } from './command.ts'
import { EXIT } from './exit-code.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Prints a completion script, made from the command tree as it is. */
export function addCompletionCommand(program: Command, act: Act): void {
  withExamples(
    program
      .command('completion')
      .description('print a completion script')
      .addArgument(program.createArgument('<SHELL>', 'shell that is to complete').choices(SHELLS)),
    'source <(postern completion bash)',
    'postern completion zsh > "${fpath[1]}/_postern"',
    'postern completion fish > ~/.config/fish/completions/postern.fish',
  ).action(
    act(async (shell: (typeof SHELLS)[number]) => {
      const { renderCompletion } = await import('./completion.ts')
      process.stdout.write(renderCompletion(program, shell))
      return EXIT.ok
    }),
  )
}
