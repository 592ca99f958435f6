import fc from 'fast-check'

/** Where to split a stream, as shares of its length. */
export const splits: fc.Arbitrary<number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })

/** The stream in pieces, none of them empty, each in memory of its own. */
export function pieces(stream: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...at.map((share) => Math.floor(share * stream.length)), stream.length].sort((a, b) => a - b)
  let from = 0
  return ends.flatMap((end) => {
    const piece = stream.slice(from, end)
    from = end
    return piece.length === 0 ? [] : [piece]
  })
}
