import { z } from 'zod'
import { httpsURL } from '../document/https-url.ts'
import { DEFAULT_ALGORITHMS, SIGNING_ALGORITHMS } from '../identity/issuer-options.ts'
import { certificateAuthority } from './certificate-authority.ts'

const EXTRA_KEY =
  /^(?!(?:[a-z0-9-]+\.)*(?:k8s|kubernetes)\.io\/)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]+\/[a-z0-9._~%/-]+$/
const EXTRA_KEY_EXPECTED = 'a lower-case key with a domain of yours, such as example.com/team'

const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected })
const claim = text('the name of a claim').describe('Name of a claim, taken literally.')
const some = <T extends z.ZodType>(entry: T) => z.array(entry).min(1)

const prefixedClaim = (prefix: string) =>
  z.strictObject({ claim, prefix: z.string().describe(`${prefix} \`""\` puts nothing there, on purpose.`) })

const claimMappings = z
  .strictObject({
    username: prefixedClaim('Put before the claim to make the username.').describe(
      'The claim that is the username. With `email`, a token whose `email_verified` says otherwise than true is refused.',
    ),
    groups: prefixedClaim('Put before each group.')
      .optional()
      .describe('The claim that lists the groups, as a string or a list of strings. Without it nobody has groups.'),
    uid: z.strictObject({ claim }).optional().describe('The claim that is the uid. Without it there is none.'),
    extra: z
      .array(
        z.strictObject({
          key: z
            .string({ error: EXTRA_KEY_EXPECTED })
            .regex(EXTRA_KEY, { error: EXTRA_KEY_EXPECTED })
            .describe('Lower-case, with a domain of yours: `example.com/team`.'),
          claim,
        }),
      )
      .optional()
      .describe("What else is known of the subject: Kubernetes' `extra`."),
  })
  .describe('How the claims of a token become a subject.')

const issuer = z
  .strictObject({
    url: httpsURL.describe(
      'Compared with `iss` and with the discovery document character by character. Once among all issuers.',
    ),
    discoveryURL: httpsURL
      .optional()
      .describe('Where the discovery document is, when not at `URL/.well-known/openid-configuration`.'),
    audiences: some(text('an audience')).describe('A token has to be meant for one of these.'),
    audienceMatchPolicy: z
      .literal('MatchAny')
      .optional()
      .describe('To be written when there is more than one audience.'),
    certificateAuthority: certificateAuthority
      .optional()
      .describe('PEM file, or the PEM text itself. When given, it alone is trusted for this issuer.'),
    signingAlgorithms: some(z.enum(SIGNING_ALGORITHMS))
      .default([...DEFAULT_ALGORITHMS])
      .describe('What tokens may be signed with.'),
  })
  .describe('Who issues the tokens.')

const client = z
  .strictObject({
    id: text('the id of a client').describe(
      'Client that `postern client login` signs in with; also one of `audiences`.',
    ),
    scopes: some(text('a scope'))
      .default(['openid', 'profile', 'email', 'offline_access'])
      .describe('What it asks for. `openid` has to be among them; `offline_access` saves people signing in again.'),
  })
  .describe('The public client (without a secret) for people who sign in.')

/** Who may be who. */
export const identitySchema = z
  .strictObject({
    issuers: some(
      z.strictObject({
        issuer,
        client,
        claimMappings,
        claimValidationRules: z
          .array(
            z.strictObject({
              claim,
              requiredValue: z.string().describe('The claim has to be a string, and this one.'),
            }),
          )
          .default([])
          .describe('Claims that a token must have.'),
      }),
    ).describe("OpenID Connect issuers, in the words of Kubernetes' AuthenticationConfiguration."),
  })
  .describe('Who is asking.')
