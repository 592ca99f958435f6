import { fromIni, fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers'
import { readSmallFile } from '../small-file.ts'
import type { SecretText } from '../../document/secret.ts'
import type { AwsOptions } from './eks-options.ts'

/** A file with a key may have at most so many bytes. */
const MAX_KEY_BYTES = 16 * 1024

/** AWS credentials as the SDK has them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** When they end, where that is known. */
  readonly expiration?: Date
}

/** Looks for credentials; what it finds is kept by whoever asks. */
export type AwsCredentialProvider = () => Promise<AwsCredentials>

/**
 * The provider that the options describe. Nothing is looked for before it is called; roles are assumed in the
 * region of the options.
 *
 * The provider throws what the SDK throws, or an Error with one phrase for a file of ours.
 */
export function credentialProvider(options: AwsOptions): AwsCredentialProvider {
  const { region, fips, assumeRole } = options
  const clientConfig = { region, useFipsEndpoint: fips }
  const base = baseProvider(options, clientConfig)
  if (assumeRole === undefined) return base
  const { roleARN, externalID, sessionName } = assumeRole
  return fromTemporaryCredentials({
    masterCredentials: base,
    clientConfig,
    params: {
      RoleArn: roleARN,
      RoleSessionName: sessionName,
      ...(externalID !== undefined && { ExternalId: externalID }),
    },
  })
}

function baseProvider(
  { credentials }: AwsOptions,
  clientConfig: { readonly region: string; readonly useFipsEndpoint: boolean },
): AwsCredentialProvider {
  switch (credentials.kind) {
    case 'ambient':
      return fromNodeProviderChain({ clientConfig })
    case 'profile':
      return fromIni({ profile: credentials.name, clientConfig, ignoreCache: true })
    case 'keys': {
      const { accessKeyID, secretAccessKey, sessionToken } = credentials
      return async () => ({
        accessKeyId: await reveal(accessKeyID),
        secretAccessKey: await reveal(secretAccessKey),
        ...(sessionToken !== undefined && { sessionToken: await reveal(sessionToken) }),
      })
    }
  }
}

async function reveal(text: SecretText): Promise<string> {
  return 'file' in text ? (await readSmallFile(text.file, MAX_KEY_BYTES)).trim() : text.value.reveal()
}
