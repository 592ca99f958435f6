/** What stands before the first line feed. */
export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
