import { Secret, type SecretReference } from '../document/secret.ts'
import type { AwsCredentialSource, EksOptions, SecretText } from '../upstream/eks/eks-options.ts'
import type { ConnectorDocument } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'
import type { Surroundings } from './surroundings.ts'

type EksDocument = NonNullable<ConnectorDocument['sockets'][number]['upstream']['eks']>

/** What an `eks` block without mistakes means. Its files stay where they are: keys may be replaced at any time. */
export function eksOptions(
  { cluster, region, credentials, assumeRole, fips }: EksDocument,
  files: NamedFiles,
  environment: Surroundings['environment'],
): EksOptions {
  const text = (reference: SecretReference): SecretText =>
    reference.file === undefined
      ? { value: new Secret((environment[reference.env] ?? '').trim()) }
      : { file: files.resolve(reference.file) }
  return {
    cluster,
    region,
    fips,
    credentials: source(credentials, text),
    assumeRole: assumeRole === undefined ? undefined : { externalID: undefined, ...assumeRole },
  }
}

function source(
  { profile, keys }: EksDocument['credentials'],
  text: (reference: SecretReference) => SecretText,
): AwsCredentialSource {
  if (profile !== undefined) return { kind: 'profile', name: profile.name }
  if (keys === undefined) return { kind: 'ambient' }
  const { accessKeyID, secretAccessKey, sessionToken } = keys
  return {
    kind: 'keys',
    accessKeyID: text(accessKeyID),
    secretAccessKey: text(secretAccessKey),
    sessionToken: sessionToken === undefined ? undefined : text(sessionToken),
  }
}
