import { Secret, type SecretReference, type SecretText } from '../document/secret.ts'
import type { NamedFiles } from './named-files.ts'
import type { Surroundings } from './surroundings.ts'

/** What a reference means: a file stays where it is, since what it holds may be replaced at any time. */
export function secretText(
  { file, env }: SecretReference,
  files: NamedFiles,
  environment: Surroundings['environment'],
): SecretText {
  return file === undefined ? { value: new Secret((environment[env] ?? '').trim()) } : { file: files.resolve(file) }
}
