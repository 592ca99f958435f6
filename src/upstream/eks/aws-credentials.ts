import {
  createCredentialChain,
  fromEnv,
  fromIni,
  fromInstanceMetadata,
  fromProcess,
  fromTemporaryCredentials,
  fromTokenFile,
} from '@aws-sdk/credential-providers'
import { readSmallFile } from '../small-file.ts'
import type { SecretText } from '../../document/secret.ts'
import { containerCredentials, hasContainerCredentials } from './container-credentials.ts'
import type { AwsCredentials, AwsOptions } from './eks-options.ts'

/** A file with a key may have at most so many bytes. */
const MAX_KEY_BYTES = 16 * 1024

/** Looks for credentials; what it finds is kept by whoever asks. */
export type AwsCredentialProvider = () => Promise<AwsCredentials>

/** The SDK's own name for what sends requests. */
type RequestHandler = NonNullable<
  NonNullable<Parameters<typeof fromTemporaryCredentials>[0]['clientConfig']>['requestHandler']
>
type Logger = NonNullable<NonNullable<Parameters<typeof fromEnv>[0]>['logger']>

/** How requests for credentials are sent. */
export interface AwsConnections {
  readonly requestHandler: RequestHandler
  readonly logger: Logger
  /** Ends what the SDK has no say in. */
  readonly signal: AbortSignal
}

/**
 * The provider that the options describe. Nothing is looked for before it is called; roles are assumed in the
 * region of the options.
 *
 * The provider throws what the SDK throws, a ContainerCredentialsError, or an Error with one phrase for a file of ours.
 */
export function credentialProvider(options: AwsOptions, connections: AwsConnections): AwsCredentialProvider {
  const { region, fips, assumeRole } = options
  const { requestHandler, logger } = connections
  const base = baseProvider(options, connections)
  if (assumeRole === undefined) return base
  const { roleARN, externalID, sessionName } = assumeRole
  return fromTemporaryCredentials({
    masterCredentials: base,
    logger,
    clientConfig: { region, useFipsEndpoint: fips, requestHandler, logger },
    params: {
      RoleArn: roleARN,
      RoleSessionName: sessionName,
      ...(externalID !== undefined && { ExternalId: externalID }),
    },
  })
}

function baseProvider(
  { region, fips, credentials }: AwsOptions,
  { requestHandler, logger, signal }: AwsConnections,
): AwsCredentialProvider {
  const init = {
    logger,
    ignoreCache: true,
    clientConfig: { useFipsEndpoint: fips, requestHandler, logger },
    // For STS. IAM Identity Center is in a region of its own, which `clientConfig` would override.
    parentClientConfig: { region, requestHandler, logger },
  }
  switch (credentials.kind) {
    case 'ambient':
      return createCredentialChain(
        ...(isSet('AWS_PROFILE') ? [] : [fromEnv(init)]),
        fromIni(init),
        fromProcess(init),
        fromTokenFile(init),
        ...(hasContainerCredentials(process.env)
          ? [() => containerCredentials(process.env, signal)]
          : isSet('AWS_EC2_METADATA_DISABLED') && process.env['AWS_EC2_METADATA_DISABLED'] !== 'false'
            ? []
            : [fromInstanceMetadata({ logger })]),
      )
    case 'profile':
      return fromIni({ ...init, profile: credentials.name })
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

function isSet(variable: string): boolean {
  return (process.env[variable] ?? '') !== ''
}

async function reveal(text: SecretText): Promise<string> {
  return 'file' in text ? (await readSmallFile(text.file, MAX_KEY_BYTES)).trim() : text.value.reveal()
}
