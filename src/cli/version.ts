import { readFileSync } from 'node:fs'

/** The version in our package.json, which is two directories up from the sources and from the build alike. */
export function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}
