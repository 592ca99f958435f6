import type { SecretReference, SecretText } from '../document/secret.ts'
import type { AwsCredentialSource, EksOptions } from '../upstream/eks/eks-options.ts'
import type { ConnectorDocument } from './connector-schema.ts'
import type { NamedFiles } from './named-files.ts'
import { secretText } from './secret-text.ts'
import type { Surroundings } from './surroundings.ts'

type EksDocument = NonNullable<ConnectorDocument['sockets'][number]['upstream']['eks']>

/** What an `eks` block without mistakes means. Its files stay where they are: keys may be replaced at any time. */
export function eksOptions(
  { cluster, region, credentials, assumeRole, fips }: EksDocument,
  files: NamedFiles,
  environment: Surroundings['environment'],
): EksOptions {
  const text = (reference: SecretReference): SecretText => secretText(reference, files, environment)
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
