/** A socket that a policy is about: one that the first of its patterns matches; undefined means any. */
export function exampleSocket([pattern = '*']: readonly string[] = []): string {
  return pattern === '*' ? 'any' : pattern.replaceAll('*', '')
}
