import { type LoadOptions, LoadGenerator } from './load-generator.ts'
import type { LoadAnswer, LoadQuestion } from './steady-load.ts'

/*
 * A load in a process of its own: `load-program.ts OPTIONS`, as JSON, with an IPC channel. Ends when that does.
 */

process.once('disconnect', () => process.exit())
const load = new LoadGenerator(JSON.parse(process.argv[2] ?? '') as LoadOptions)
const tell = (kind: LoadAnswer['kind']): void => {
  const answer: LoadAnswer = { kind, figures: load.figures }
  process.send?.(answer)
}
void load.steady.then(() => {
  tell('steady')
})
process.on('message', (question: LoadQuestion) => {
  if (question === 'figures') tell('figures')
  else
    void load.stop().then(() => {
      tell('stopped')
    })
})
