const LINE_FEED = 0x0a

/** Reads JSON values, one a line, from a stream of bytes. */
export class JsonLines {
  readonly #maxLineBytes: number
  #kept: Buffer[] = []
  #keptBytes = 0

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /**
   * The values that are whole with these bytes, whose memory is free afterwards.
   *
   * @throws Error for a line that is no JSON or too long. Nothing can be read after that.
   */
  push(chunk: Buffer): readonly unknown[] {
    const values: unknown[] = []
    let start = 0
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start)
      const part = chunk.subarray(start, end === -1 ? chunk.length : end)
      if (this.#keptBytes + part.length > this.#maxLineBytes) throw new Error('a line of a watch is too long')
      if (end === -1) {
        if (part.length > 0) this.#kept.push(Buffer.from(part))
        this.#keptBytes += part.length
        return values
      }
      const line = this.#kept.length === 0 ? part : Buffer.concat([...this.#kept, part])
      this.#kept = []
      this.#keptBytes = 0
      if (line.length > 0) values.push(parse(line))
      start = end + 1
    }
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString()) as unknown
  } catch {
    throw new Error('a line of a watch is not JSON')
  }
}
