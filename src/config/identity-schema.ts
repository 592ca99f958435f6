import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { httpsURL } from '../document/https-url.ts'
import { type CelVariable, compileCel } from '../identity/cel.ts'
import { secretReference } from '../document/secret.ts'
import { CLIENT_AUTH_METHODS, DEFAULT_ALGORITHMS, SIGNING_ALGORITHMS } from '../identity/issuer-options.ts'
import { isMachinePrefix } from '../identity/subject-name.ts'
import { certificateAuthority } from './certificate-authority.ts'
import { socketName } from './socket-schema.ts'

/**
 * A DNS subdomain of at most 253 characters that is none of Kubernetes' own, a slash, and what may stand in the path of a URL;
 * all of it in lower case.
 *
 * @see k8s.io/apimachinery `pkg/util/validation/validation.go`, IsDomainPrefixedPath
 */
const EXTRA_KEY =
  /^(?!(?:[^/]*\.)?(?:k8s|kubernetes)\.io\/)(?=[^/]{1,253}\/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/[a-z0-9/\-._~%!$&'()*+,;=:]+$/
const EXTRA_KEY_EXPECTED = 'a lower-case key with a domain of yours, such as example.com/team'

const REDIRECT_PATH_EXPECTED = 'a path such as /callback'

/** What the protocol itself says is not for the document to say. */
const AUTHORIZATION_PARAMETER =
  /^(?!(?:client_id|client_secret|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge|code_challenge_method|request|request_uri)$)[a-z][a-z0-9_]{0,63}$/
const AUTHORIZATION_PARAMETER_EXPECTED = 'a parameter that OpenID Connect does not fill in itself, such as access_type'

const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected })
const claim = text('the name of a claim').describe('Name of a claim, taken literally.')
const some = <T extends z.ZodType>(entry: T) => z.array(entry).min(1)

/** An expression that compiles; `bool` when it is a rule. */
const expression = (variable: CelVariable, expected: 'bool' | 'value' = 'value') =>
  text('an expression').superRefine((written, context) => {
    try {
      const { type } = compileCel(written, variable)
      if (expected === 'value' || type === 'bool') return
      context.addIssue({ code: 'custom', message: `gives ${type}`, params: { expected: 'true or false' } })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      context.addIssue({ code: 'custom', message, params: { expected: `an expression of CEL over \`${variable}\`` } })
    }
  })

const prefixedClaim = (prefix: string) =>
  z.strictObject({
    claim,
    prefix: z
      .string()
      .describe(`${prefix} \`""\` puts nothing there, on purpose. No other issuer gives names that begin with it.`),
  })

const extraKey = z
  .string({ error: EXTRA_KEY_EXPECTED })
  .regex(EXTRA_KEY, { error: EXTRA_KEY_EXPECTED })
  .describe('Lower-case, with a domain of yours: `example.com/team`.')

const claimMappings = z
  .strictObject({
    username: z
      .union([
        prefixedClaim('Put before the claim to make the username.'),
        z.strictObject({
          expression: expression('claims').describe(
            'CEL over `claims` that gives the whole username. Where it reads `claims.email`, `claims.email_verified` has to be read too, here, in `extra` or in a rule.',
          ),
        }),
      ])
      .describe(
        'The claim that is the username, or an expression. With the claim `email`, a token whose `email_verified` says otherwise than true is refused.',
      ),
    groups: z
      .union([
        prefixedClaim('Put before each group.'),
        z.strictObject({
          expression: expression('claims').describe('CEL over `claims` that gives text, a list of text, or null.'),
        }),
      ])
      .optional()
      .describe(
        'The claim that lists the groups, as a string or a list of strings, or an expression. Without it nobody has groups.',
      ),
    uid: z
      .union([
        z.strictObject({ claim }),
        z.strictObject({ expression: expression('claims').describe('CEL over `claims` that gives text.') }),
      ])
      .optional()
      .describe('The claim that is the uid, or an expression. Without it there is none.'),
    extra: z
      .array(
        z.union([
          z.strictObject({ key: extraKey, claim }),
          z.strictObject({
            key: extraKey,
            valueExpression: expression('claims').describe(
              'CEL over `claims` that gives text, a list of text, or null.',
            ),
          }),
        ]),
      )
      .optional()
      .describe("What else is known of the subject: Kubernetes' `extra`."),
  })
  .describe('How the claims of a token become a subject. Expressions make whole names: put a prefix into them.')

const message = z.exactOptional(text('a sentence').describe('What a person is told when it is not true. No secret.'))

const groupsFrom = choice({
  userinfo: z
    .strictObject({})
    .describe(
      "The issuer's userinfo endpoint, shown the token that was presented, whenever a token has no groups. Only for issuers that take ID tokens there, as dex does.",
    ),
  graph: z
    .strictObject({
      url: httpsURL
        .default('https://graph.microsoft.com/v1.0')
        .describe('What `/users/ID/getMemberObjects` is added to.'),
      certificateAuthority: certificateAuthority
        .optional()
        .describe('PEM file, or the PEM text itself. When given, it alone is trusted for `url`.'),
      memberClaim: claim.default('oid').describe('Claim that names the person there.'),
      securityEnabledOnly: z
        .boolean()
        .default(true)
        .describe('Whether groups for mail alone are left out. As in tokens.'),
      credentials: z
        .strictObject({
          clientID: text('the id of a client').describe('A confidential client of the issuer.'),
          clientSecret: secretReference.describe('Its secret.'),
          scope: text('a scope').default('https://graph.microsoft.com/.default').describe('What it asks for.'),
        })
        .describe('What the connector itself is to the issuer, at its token endpoint.'),
    })
    .describe('Microsoft Graph, or what looks like it, whenever the issuer says that it left groups out of a token.'),
})
  .optional()
  .describe(
    'Where groups are that a token leaves out. Asked at the first sight of a token, kept for 5 minutes; while it cannot be asked, nobody who needs it gets in. Without it such tokens are refused.',
  )

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
    egressSelectorType: z
      .enum(['controlplane', 'cluster'])
      .optional()
      .describe('Taken from an AuthenticationConfiguration and without effect: the connector has one way out.'),
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
    deviceAuthorization: z
      .boolean()
      .default(false)
      .describe(
        'Whether people may sign in with a code on another device (RFC 8628, `postern client login --device`). Whoever talks a person into typing a code in gets their login, so switch it on only where there is no browser.',
      ),
    backchannelLogout: z
      .boolean()
      .default(false)
      .describe(
        'Whether the issuer may end logins here, when people sign out there or are disabled (OpenID Connect Back-Channel Logout). Register `https://PORTAL/backchannel-logout` there as the back-channel logout URI of the client.',
      ),
    redirectHost: z
      .enum(['127.0.0.1', '::1', 'localhost'])
      .default('127.0.0.1')
      .describe('Host of the redirect URI, for issuers that know only one of them.'),
    redirectPath: z
      .string({ error: REDIRECT_PATH_EXPECTED })
      .regex(/^\/[\w./~-]*$/, { error: REDIRECT_PATH_EXPECTED })
      .optional()
      .describe('Path of the redirect URI, for issuers that compare it. Without it every login has a path of its own.'),
    redirectPorts: some(z.int().min(1024).max(65535))
      .optional()
      .describe(
        'Ports of the redirect URI, for issuers that compare them; the first free one is taken. Without it any.',
      ),
    secret: secretReference
      .optional()
      .describe(
        'Its secret, for a confidential client: the portal then speaks to the issuer for people, so that no laptop has it. A file is read again at each use. `postern connector check` prints the redirect URI to register.',
      ),
    tokenEndpointAuthMethod: z
      .enum(CLIENT_AUTH_METHODS)
      .optional()
      .describe(
        'How the secret is shown to the issuer, for issuers that take it in one way only. Default: what its metadata says, `client_secret_basic` first.',
      ),
    authorizationParameters: z
      .record(
        z.string().regex(AUTHORIZATION_PARAMETER, { error: AUTHORIZATION_PARAMETER_EXPECTED }),
        z.string().min(1).max(256),
      )
      .optional()
      .describe(
        'Added to what a browser asks of the issuer, for a client with a `secret`: `{ access_type: offline }` makes Google give a refresh token.',
      ),
  })
  .describe(
    'The client for people who sign in: a public one, or with `secret` a confidential one. Without it nobody does: for machines.',
  )

const PREFIX_EXPECTED = 'lower-case letters, digits, "." and "-" and then one colon, such as "production:"'
const machinePrefix = z
  .string({ error: PREFIX_EXPECTED })
  .refine(isMachinePrefix, { error: 'is no prefix of machines', params: { expected: PREFIX_EXPECTED } })
  .describe('Put before usernames and groups, and kept for them: nobody else gets a name that begins with it.')

const serviceAccounts = z
  .array(
    z.strictObject({
      socket: socketName.describe('Socket to the cluster that issued the tokens, and that is asked whether they hold.'),
      audiences: some(text('an audience')).describe(
        'Audiences of the tokens, such as `kubectl create token --audience` writes. No other token is shown to the cluster.',
      ),
      prefix: machinePrefix,
    }),
  )
  .default([])
  .describe(
    'Clusters whose service accounts may come in, by TokenReview: the credential of the socket needs `create tokenreviews`. They are called `PREFIXsystem:serviceaccount:NAMESPACE:NAME`.',
  )

const clientCertificates = z
  .strictObject({
    certificateAuthority: certificateAuthority.describe(
      'PEM file, or the PEM text itself: who issues them. Nobody else should be able to get one from it.',
    ),
    prefix: machinePrefix,
  })
  .optional()
  .describe(
    'Client certificates on the kubernetes listener: the common name is the username, organizations are groups. They need the extended key usage `clientAuth`. Without this none are asked for.',
  )

/** Who may be who. */
export const identitySchema = z
  .strictObject({
    issuers: some(
      z.strictObject({
        issuer,
        client: client.optional(),
        claimMappings,
        sharesNamesWith: z
          .array(text('the URL of another issuer'))
          .optional()
          .describe(
            'URLs of other issuers here that name the same people and groups, such as the one that this replaces: whoever has a name from one of them is who has it from this. Without it no name may come from both.',
          ),
        groupsFrom,
        claimValidationRules: z
          .array(
            z.union([
              z.strictObject({
                claim,
                requiredValue: z.string().describe('The claim has to be a string, and this one.'),
              }),
              z.strictObject({
                expression: expression('claims', 'bool').describe('CEL over `claims` that has to be true.'),
                message,
              }),
            ]),
          )
          .default([])
          .describe('What the claims of a token must be.'),
        userValidationRules: z
          .array(
            z.strictObject({
              expression: expression('user', 'bool').describe(
                'CEL over `user` (`username`, `uid`, `groups`, `extra`) that has to be true.',
              ),
              message,
            }),
          )
          .default([])
          .describe('What the subject must be that was made of the claims.'),
      }),
    ).describe("OpenID Connect issuers, in the words of Kubernetes' AuthenticationConfiguration."),
    serviceAccounts,
    clientCertificates,
  })
  .describe('Who is asking.')
