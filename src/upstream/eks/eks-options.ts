import type { SecretText } from '../../document/secret.ts'

/** Where AWS credentials come from. */
export type AwsCredentialSource =
  /** The SDK's own chain: environment, shared files, IAM Identity Center, web identity (IRSA), Pod Identity, ECS, EC2. */
  | { readonly kind: 'ambient' }
  /** A profile of the shared files, with what it refers to (roles, IAM Identity Center, a credential process). */
  | { readonly kind: 'profile'; readonly name: string }
  | {
      readonly kind: 'keys'
      readonly accessKeyID: SecretText
      readonly secretAccessKey: SecretText
      /** Of keys that are temporary. */
      readonly sessionToken: SecretText | undefined
    }

/** AWS credentials as the SDK has them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** When they end, where that is known. */
  readonly expiration?: Date
}

/** A role that is taken on with the credentials found. */
interface AssumedRole {
  readonly roleARN: string
  /** What the role's trust policy may ask for as `sts:ExternalId`. */
  readonly externalID: string | undefined
  readonly sessionName: string
}

/** How AWS is reached, and as whom. */
export interface AwsOptions {
  readonly region: string
  /** Endpoints with FIPS 140 validated cryptography. */
  readonly fips: boolean
  readonly credentials: AwsCredentialSource
  readonly assumeRole: AssumedRole | undefined
}

/** Which EKS cluster, and who the connector is to AWS. */
export interface EksOptions extends AwsOptions {
  /** Its name; unique within a region of an account. */
  readonly cluster: string
}
