import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { secretReference } from '../document/secret.ts'
import { FIPS_REGIONS, hasFIPS, partitionOf } from '../upstream/eks/partition.ts'
import { parseRoleARN } from '../upstream/eks/role-arn.ts'

const CLUSTER_EXPECTED = 'the name of an EKS cluster: letters, digits, "-" and "_", at most 100 characters'
const REGION_EXPECTED = 'an AWS region, such as eu-west-1'
const ROLE_EXPECTED = 'the ARN of an IAM role, such as arn:aws:iam::123456789012:role/postern'
const SESSION_EXPECTED = '2 to 64 letters, digits and _+=,.@-'
const EXTERNAL_EXPECTED = '2 to 1224 letters, digits and _+=,.@:/-'

/** Ways to AWS credentials, of which one is taken. */
const credentials = choice({
  ambient: z
    .strictObject({})
    .describe(
      "The SDK's own chain: environment, shared files, IAM Identity Center, web identity (IRSA), Pod Identity, ECS, EC2.",
    ),
  profile: z
    .strictObject({ name: z.string().min(1).describe('Name of the profile.') })
    .describe(
      'A profile of `~/.aws/config` and `~/.aws/credentials`, with the roles that it names. Unlike a kubeconfig, a `credential_process` in it is run.',
    ),
  keys: z
    .strictObject({
      accessKeyID: secretReference.describe('Access key id.'),
      secretAccessKey: secretReference.describe('Its secret.'),
      sessionToken: secretReference.optional().describe('Session token, of keys that are temporary.'),
    })
    .describe('An access key. Files are read again when AWS or the cluster refuses what they held.'),
})

const assumeRole = z.strictObject({
  roleARN: z
    .string({ error: ROLE_EXPECTED })
    .refine((text) => parseRoleARN(text) !== null, { error: ROLE_EXPECTED })
    .describe('The role, with its path.'),
  externalID: z
    .string({ error: EXTERNAL_EXPECTED })
    .regex(/^[\w+=,.@:/-]{2,1224}$/, { error: EXTERNAL_EXPECTED })
    .optional()
    .describe('What the trust policy of the role asks for as `sts:ExternalId`.'),
  sessionName: z
    .string({ error: SESSION_EXPECTED })
    .regex(/^[\w+=,.@-]{2,64}$/, { error: SESSION_EXPECTED })
    .default('postern')
    .describe('What AWS calls the session; it stands in CloudTrail.'),
})

/** An EKS cluster. */
export const eks = z
  .strictObject({
    cluster: z
      .string({ error: CLUSTER_EXPECTED })
      .regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/, { error: CLUSTER_EXPECTED })
      .describe('Name of the cluster.'),
    region: z
      .string({ error: REGION_EXPECTED })
      .refine((text) => partitionOf(text) !== null, { error: REGION_EXPECTED })
      .describe('Region of the cluster, of any partition (China, GovCloud and others).'),
    credentials: credentials.prefault({ ambient: {} }).describe('Where AWS credentials come from.'),
    assumeRole: assumeRole.optional().describe('A role that is taken on with these credentials.'),
    fips: z
      .boolean()
      .default(false)
      .describe('Use endpoints with FIPS 140 validated cryptography, which AWS has in the USA and in GovCloud.'),
  })
  .refine(({ fips, region }) => !fips || partitionOf(region) === null || hasFIPS(region), {
    path: ['fips'],
    error: 'AWS has no such endpoints in this region',
    params: { expected: `false, or one of the regions ${FIPS_REGIONS.join(', ')}` },
  })
  .describe('An EKS cluster: address and authority from DescribeCluster, tokens made of AWS credentials.')
