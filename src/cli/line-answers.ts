import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { ClientError } from '../client/client-error.ts'
import { MAX_LINE_LENGTH, type AnswerLine } from '../policy/request-lines.ts'
import { escapeUnprintable } from './terminal.ts'

const CHUNK_BYTES = 256 * 1024

/** How much is collected before it is written, in UTF-16 units. */
const BATCH_LENGTH = 256 * 1024

/**
 * Answers every line of a file (`-` is stdin) with a line on stdout, in order, and holds no more than a few batches in
 * memory. A last line without a break counts; a line over {@link MAX_LINE_LENGTH} is answered by its beginning.
 *
 * @throws ClientError `BadArgument` when the file cannot be read.
 */
export async function answerLines(path: string, answer: AnswerLine): Promise<void> {
  const out = new BatchedOutput()
  let rest = ''
  for await (const text of chunksOf(path)) {
    let begin = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', begin)) {
      out.add(answer(rest + text.slice(begin, end)))
      rest = ''
      begin = end + 1
      if (out.isFull) await out.flush()
    }
    // What is longer than any line that is read needs no more of it to be refused.
    if (rest.length <= MAX_LINE_LENGTH) rest += text.slice(begin)
    if (out.isClosed) return
  }
  if (rest !== '') out.add(answer(rest))
  await out.flush()
}

async function* chunksOf(path: string): AsyncIterable<string> {
  const stream = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES })
  stream.setEncoding('utf8')
  try {
    for await (const chunk of stream) yield chunk as string
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BadArgument', `--requests cannot be read: ${why}`, { cause: error })
  }
}

/** Lines for stdout, written together, and no faster than they are read there. */
class BatchedOutput {
  #batch = ''
  isClosed = false

  constructor() {
    process.stdout.once('error', () => (this.isClosed = true))
  }

  get isFull(): boolean {
    return this.#batch.length >= BATCH_LENGTH
  }

  add(line: string): void {
    this.#batch += `${escapeUnprintable(line)}\n`
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = ''
    if (batch === '' || this.isClosed || process.stdout.write(batch)) return
    const listening = new AbortController()
    const { signal } = listening
    const told = ['drain', 'close'].map((event) => once(process.stdout, event, { signal }))
    await Promise.race(told).catch(() => undefined)
    listening.abort()
  }
}
