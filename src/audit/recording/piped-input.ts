import type { InputMasking } from './input-masking.ts'

/** Input that no terminal echoes: a stream of text, which is masked line by line. */
export class PipedInput {
  readonly #masking: InputMasking
  readonly #onText: (text: string) => void

  /** @param onText told whole lines; at the end, what is left of one. */
  constructor(masking: InputMasking, onText: (text: string) => void) {
    this.#masking = masking
    this.#onText = onText
  }

  push(text: string): void {
    let lines = ''
    let from = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      this.#masking.add(text.slice(from, end))
      lines += this.#masking.endLine('\n')
      from = end + 1
    }
    this.#masking.add(text.slice(from))
    if (lines !== '') this.#onText(lines)
  }

  end(): void {
    const rest = this.#masking.endLine('')
    if (rest !== '') this.#onText(rest)
  }
}
