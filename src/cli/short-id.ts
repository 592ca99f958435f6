/** Characters of an id, nearly always enough to tell sessions and recordings apart. */
const SHORT_ID_LENGTH = 8
const ID_LENGTH = 36

/** How much of an id tells each of these apart: at least 8 characters. */
export function shortIdLength(ids: readonly string[]): number {
  let length = SHORT_ID_LENGTH
  while (length < ID_LENGTH && new Set(ids.map((id) => id.slice(0, length))).size < ids.length) length += 1
  return length
}
