/** Keys and list indexes from the root of a document to a value. Indexes count from 0. */
export type DocumentPath = readonly PropertyKey[]

/** `sockets[0].upstream.kubeconfig`; a key that is not a plain word is quoted: `labels["a.b"]`. */
export function renderPath(path: DocumentPath): string {
  let rendered = ''
  for (const key of path) {
    if (typeof key === 'number') rendered += `[${key}]`
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(String(key))) rendered += `[${JSON.stringify(String(key))}]`
    else rendered += rendered === '' ? String(key) : `.${String(key)}`
  }
  return rendered
}
