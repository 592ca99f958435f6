import type { DocumentPath } from '../document/document-path.ts'
import type { Sound } from '../document/document.ts'
import { Secret, type SecretReference, type SecretText } from '../document/secret.ts'
import type { Text } from '../upstream/endpoint.ts'
import type { NamedFiles } from './named-files.ts'
import type { Surroundings } from './surroundings.ts'

type Environment = Surroundings['environment']

/** What a reference means: a file stays where it is, since what it holds may be replaced at any time. */
export function secretText({ file, env }: SecretReference, files: NamedFiles, environment: Environment): SecretText {
  return file === undefined ? { value: new Secret((environment[env] ?? '').trim()) } : { file: files.resolve(file) }
}

/** The same of what is no secret. */
export function referredText({ file, env }: SecretReference, files: NamedFiles, environment: Environment): Text {
  return file === undefined ? { value: (environment[env] ?? '').trim() } : { file: files.resolve(file) }
}

/** Notes a mistake when there is no secret, or one of fewer than `minCharacters`. */
export async function checkSecret(
  reference: Sound<SecretReference>,
  at: DocumentPath,
  files: NamedFiles,
  environment: Environment,
  minCharacters = 1,
): Promise<void> {
  const tooShort = (text: string): boolean => text !== '' && text.length < minCharacters
  const problem = `holds fewer than ${minCharacters} characters, which could be guessed`
  // A secret that was written in place of its file is not repeated.
  const inFile = (await files.read([...at, 'file'], reference?.file, 'the file'))?.trim()
  if (inFile === '') files.refuse([...at, 'file'], 'is an empty file', 'a file with the secret')
  else if (tooShort(inFile ?? '')) files.refuse([...at, 'file'], problem, 'a secret that the issuer made')
  const variable = reference?.env
  const inEnvironment = variable === undefined ? undefined : (environment[variable] ?? '').trim()
  if (inEnvironment === '') {
    files.refuse([...at, 'env'], `${variable ?? ''} is not set`, 'an environment variable with the secret')
  } else if (tooShort(inEnvironment ?? '')) files.refuse([...at, 'env'], problem, 'a secret that the issuer made')
}

/** Text that is no secret in a file or an environment variable, trimmed; null, and a mistake, when there is none. */
export async function readReferred(
  reference: Sound<SecretReference>,
  at: DocumentPath,
  files: NamedFiles,
  environment: Environment,
): Promise<string | null> {
  const inFile = await files.read([...at, 'file'], reference?.file)
  if (inFile?.trim() === '') files.refuse([...at, 'file'], 'is an empty file')
  const variable = reference?.env
  const inEnvironment = variable === undefined ? null : (environment[variable] ?? '')
  if (inEnvironment?.trim() === '') {
    files.refuse([...at, 'env'], `${variable ?? ''} is not set`, 'an environment variable with it')
  }
  return (inFile ?? inEnvironment)?.trim() || null
}
