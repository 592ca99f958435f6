import fc from 'fast-check'
import { parseDocument, stringify } from 'yaml'

const word = fc.stringMatching(/^[a-zA-Z{}:/_ .#'"\\\-|>&*!%@`\t é]{0,20}$/)
const mapped = fc.record(
  { rolearn: word, username: word, groups: fc.array(word, { maxLength: 3 }), sso: fc.record({ accountID: word }) },
  { requiredKeys: [] },
)

/**
 * `mapRoles` of aws-auth the way different tools and people write it, with comments and blank lines around. An entry can be
 * added to each of them.
 */
export const mapRolesText = fc
  .tuple(
    fc.array(mapped, { maxLength: 5 }),
    fc.record({
      indentSeq: fc.boolean(),
      collectionStyle: fc.constantFrom('any', 'block', 'flow'),
      lineWidth: fc.constantFrom(0, 20, 80),
      defaultStringType: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'),
    }),
    fc.constantFrom('', '# first\n', '\n\n', '---\n', '%YAML 1.2\n---\n'),
    fc.constantFrom('', '# last\n', '\n\n', '# last', '  \n'),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([entries, style, head, tail, crlf, cut]) => {
    const text = head + stringify(entries, style) + tail
    // Without its last line break the end of a block text is open.
    const ended = cut && !style.defaultStringType.startsWith('BLOCK') ? text.replace(/\n$/, '') : text
    return crlf ? ended.replaceAll('\n', '\r\n') : ended
  })
  // A narrow line makes the writer put `[]` where no reader takes it.
  .filter((text) => parseDocument(text, { uniqueKeys: false }).errors.length === 0)

/** Whether taking one stretch out of `after` gives `before` back. */
export function isInsertion(before: string, after: string): boolean {
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  return after.slice(same + after.length - before.length) === before.slice(same)
}
