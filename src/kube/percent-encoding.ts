/**
 * Decodes every `%XX` of a text once. Returns undefined for a malformed escape and for bytes that are not
 * UTF-8, overlong forms and surrogates included: other parsers would each read those in a way of their own.
 *
 * @see RFC 3986 section 2.1
 */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
