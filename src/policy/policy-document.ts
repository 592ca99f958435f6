import { z } from 'zod'
import { duration } from '../document/duration.ts'
import { TEMPLATE, isTemplate } from './templates.ts'
import { areClusterScoped } from './cluster-scoped.ts'
import { callerAddress, conditionsSchema, extraKey, instant } from './conditions.ts'

/** A `*` more would let a long name of a caller's choosing cost much to match. */
const GLOB = /^(?:[^*]*\*){0,2}[^*]*$/

/** Not `**`, which elsewhere stands for more than `*`: across directories, or nothing at all. */
const STARS_APART = /^\*?(?:[^*]\*?)*$/

const RESERVED_NAME = /^(?!postern\b)/

const word = (expected: string, pattern: RegExp) => z.string({ error: expected }).regex(pattern, { error: expected })

const globWord = (expected: string, pattern: RegExp) =>
  word(expected, pattern)
    .regex(GLOB, { error: 'at most two "*"' })
    .regex(STARS_APART, { error: '"*" in place of "**", as one already stands for any characters' })

const policyName = word('lower-case letters, digits, "-" and ".", not beginning with "postern"', RESERVED_NAME)
  .regex(/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/, {
    error: 'lower-case letters, digits, "-" and ".", 63 characters at most',
  })
  .describe('Name of the policy, once among all policies. Rules are called by it: `payments-developers#1`.')

const exactName = word(
  'an exact name without "*" (the group system:authenticated is everybody who signed in)',
  /^(?!\s)[^*\p{Cc}\p{Cs}]{1,256}(?<!\s)$/u,
)

const socketPattern = globWord(
  'a socket name, in which up to two "*" stand for any characters',
  /^[a-z0-9*](?:[a-z0-9.*-]{0,61}[a-z0-9*])?$/,
)

const socketName = word('the name of a socket', /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/)

const verb = word(
  'a verb such as get, list or create in lower case, or "*" alone',
  /^(?:\*|[a-z][a-z0-9-]{0,62}(?::[a-z:-]{1,128})?)$/,
)

const apiGroup = word(
  'an API group such as apps, "" for the core group, or "*" alone',
  /^(?:\*|[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|)$/,
)

const resource = word(
  'a plural such as pods, with its subresource as in pods/exec, or "*" in place of either',
  /^(?:\*|[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?:\/(?:\*|[a-z0-9][a-z0-9._-]{0,252}))?$/,
)

const namespacePattern = globWord(
  'a namespace, in which up to two "*" stand for any characters',
  /^[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?$/,
)

const namespaceEntry = globWord(
  'a namespace, in which up to two "*" stand for any characters and one {{ subject.username }} for who asks',
  new RegExp(`^(?:[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?|[a-z0-9*-]{0,62}${TEMPLATE}[a-z0-9*-]{0,62})$`),
)

const NAME_CHARACTER = String.raw`[^\s/%?[\]{}\p{Cc}]`

const namePattern = globWord(
  'the name of an object, in which up to two "*" stand for any characters',
  new RegExp(`^${NAME_CHARACTER}{1,253}$`, 'u'),
)

const nameEntry = globWord(
  'the name of an object, in which up to two "*" stand for any characters and one {{ subject.username }} for who asks',
  new RegExp(`^(?:${NAME_CHARACTER}{1,253}|${NAME_CHARACTER}{0,253}${TEMPLATE}${NAME_CHARACTER}{0,253})$`, 'u'),
)

const nonResourceURL = word(
  'a path such as /version, or a beginning of paths such as "/metrics*"; "*" alone is any path',
  /^(?:\*|\/[^\s*?#\\\p{Cc}]*\*?)$/u,
)

const some = <T extends z.ZodType>(entry: T) => z.array(entry).min(1).readonly()

const effect = z
  .enum(['allow', 'deny'])
  .default('allow')
  .describe('What the rule says of the requests that it matches. A deny wins over every allow.')

const verbs = some(verb).describe(
  'Kubernetes verbs: get, list, watch, create, update, patch, delete, deletecollection; `*` is any. ' +
    'For nonResourceURLs the lower-case HTTP method. bind, escalate and impersonate count only when they are named.',
)

const sessionSchema = z
  .strictObject({
    record: z
      .enum(['required', 'best-effort', 'off'])
      .optional()
      .describe(
        'Recording of the session: `required` ends it where it cannot be recorded, `best-effort` goes on and says so in ' +
          "the audit trail. Default: the socket's.",
      ),
    maxDuration: duration({ minimum: '1s' }).optional().describe('The session ends after this time.'),
    idleTimeout: duration({ minimum: '1s' })
      .optional()
      .describe('The session ends after this time without a byte of payload either way; pings do not count.'),
    maxConcurrent: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('How many sessions one subject may have open by this rule at a time.'),
  })
  .readonly()
  .describe('What is demanded of an exec, attach or port-forward that the rule allows.')

const exceptSchema = z
  .strictObject({
    apiGroups: some(apiGroup).optional().describe('API groups that the rule is not about.'),
    resources: some(resource)
      .optional()
      .describe('Resources that the rule is not about; in a rule that allows, their subresources included.'),
    namespaces: some(namespacePattern)
      .optional()
      .describe('Namespaces that the rule is not about; `*` stands for any characters.'),
    resourceNames: some(namePattern)
      .optional()
      .describe('Names of objects that the rule is not about; `*` stands for any characters.'),
  })
  .refine((except) => Object.keys(except).length > 0, {
    error: 'is empty',
    params: { expected: 'one of apiGroups, resources, namespaces, resourceNames' },
    when: ({ issues }) => issues.length === 0,
  })
  .readonly()
  .describe(
    'What the rule is not about: a request that any of these lists matches. Another rule may still allow or deny it.',
  )

const apiGroups = some(apiGroup).optional().describe('API groups; `""` is the core group, `*` is any. Default: any.')

const resources = some(resource).describe(
  'Plurals, with a subresource as in `pods/log`. `*` is everything except the subresources that run code or hand ' +
    'out credentials: pods/exec, pods/attach, pods/portforward, pods/ephemeralcontainers, */proxy, ' +
    'serviceaccounts/token, and of postern.dev sessions/follow and recordings/cast are granted only by name, as in `pods/exec`, `pods/*` or `*/*`.',
)

const resourceNames = some(nameEntry)
  .optional()
  .describe(
    'Names of objects; `*` stands for any characters. Default: any. No entry allows a request that carries no ' +
      'name: create, deletecollection, and list and watch without the field selector `metadata.name=NAME`.',
  )

const resourceRuleSchema = z
  .strictObject({
    effect,
    verbs,
    apiGroups,
    resources,
    namespaces: some(namespaceEntry)
      .optional()
      .describe(
        'Namespaces; `*` stands for any characters. Default: any, and also requests over all namespaces and ' +
          'cluster-scoped objects, which no entry of this list allows.',
      ),
    resourceNames,
    except: exceptSchema.optional(),
    session: sessionSchema.optional(),
  })
  .refine((rule) => rule.effect === 'allow' || rule.session === undefined, {
    path: ['session'],
    error: 'stands in a rule that denies',
    params: { expected: 'it only in rules that allow' },
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .refine(
    ({ effect: says, namespaces = [], resourceNames: names = [] }) =>
      says === 'allow' || ![...namespaces, ...names].some(isTemplate),
    {
      error: 'denies by a template, which denies nothing where it stands for nothing',
      params: { expected: 'templates only in rules that allow' },
      when: ({ issues }) => issues.length === 0,
    },
  )
  .readonly()

/** A rule that allows something in one namespace, which is not its to name. */
const namespacedRuleSchema = z
  .strictObject({
    verbs,
    apiGroups,
    resources,
    resourceNames,
    except: exceptSchema.optional(),
    session: sessionSchema.optional(),
  })
  .superRefine((rule, context) => {
    rule.resources.forEach((entry, index) => {
      if (!areClusterScoped(rule.apiGroups, entry.split('/', 1)[0] ?? '')) return
      const params = { expected: 'resources that live in namespaces' }
      context.addIssue({ code: 'custom', path: ['resources', index], message: 'lives outside namespaces', params })
    })
  })
  .readonly()

const nonResourceRuleSchema = z
  .strictObject({
    effect,
    verbs,
    nonResourceURLs: some(nonResourceURL).describe(
      'Paths outside the resources of the API, exact, or a beginning followed by `*`; `*` alone is any.',
    ),
  })
  .readonly()

const testSchema = z
  .strictObject({
    name: z.string().min(1).describe('What the test shows, in words.'),
    as: z
      .strictObject({
        user: exactName.describe('Username of the caller.'),
        groups: z.array(exactName).readonly().default([]).describe('Groups of the caller.'),
        extra: z
          .record(extraKey, some(z.string().min(1).max(256)))
          .optional()
          .describe('Further claims of the caller: a list of values for each key.'),
      })
      .readonly()
      .describe('Who asks.'),
    request: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'What is asked, in the words of kubectl (`get secrets/db -n default`, `exec web`) or as a request line ' +
          '(`GET /api/v1/pods?watch=1`).',
      ),
    socket: socketName.optional().describe("Socket that is asked. Default: the first of the policy's own."),
    at: instant.optional().describe('When: `2026-07-01T12:00:00Z`. Not omitted where the decision depends on it.'),
    sourceIP: callerAddress.optional().describe('Address of the caller. Not omitted where the decision depends on it.'),
    expect: z.enum(['allow', 'deny']).describe('The decision that is right; `deny` also when no rule matches.'),
  })
  .readonly()

const subjects = z
  .strictObject({
    groups: z.array(exactName).readonly().default([]).describe('Groups, exact.'),
    users: z.array(exactName).readonly().default([]).describe('Usernames, exact.'),
  })
  .refine((named) => named.groups.length + named.users.length > 0, {
    error: 'names nobody',
    params: { expected: 'a group or a user (the group system:authenticated is everybody who signed in)' },
  })
  .readonly()
  .describe('Whom the policy is about: members of any of the groups, and the users.')

const spec = z
  .strictObject({
    sockets: some(socketPattern)
      .optional()
      .describe('Sockets that the policy is about; `*` stands for any characters. Default: all.'),
    subjects,
    conditions: conditionsSchema.optional(),
    rules: some(z.union([resourceRuleSchema, nonResourceRuleSchema])).describe(
      'Rules about resources (`resources`) or about other paths (`nonResourceURLs`). Order has no meaning.',
    ),
  })
  .readonly()
  .describe('What the policy says.')

const namespacedSpec = z
  .strictObject({
    subjects,
    conditions: conditionsSchema.optional(),
    rules: some(namespacedRuleSchema).describe(
      'Rules that allow something in the namespace of this object, on the socket that it comes from. Order has no meaning.',
    ),
  })
  .readonly()
  .describe('What the policy says.')

const tests = z.array(testSchema).readonly().default([]).describe('Examples that `postern policy test` checks.')

/** One policy document as it is written. Durations are milliseconds once parsed. */
export const policyDocumentSchema = z
  .strictObject({
    apiVersion: z.literal('postern.dev/v1alpha1').describe('Version of this format.'),
    kind: z.literal('Policy').describe('What the document is.'),
    metadata: z.strictObject({ name: policyName }).readonly().describe('What the policy is called.'),
    spec,
    tests,
  })
  .readonly()
  .describe('Who may do what. What no rule allows is denied.')

/** What a policy that is a Kubernetes object of the cluster scope says. */
export const clusterPolicySchema = z
  .strictObject({ spec, tests })
  .readonly()
  .describe('Who may do what, on any socket of the connector that watches it. What no policy allows is denied.')

/** What a policy that is a Kubernetes object in a namespace says. It can only allow, and only there. */
export const namespacedPolicySchema = z
  .strictObject({ spec: namespacedSpec, tests })
  .readonly()
  .describe('Who may do what in this namespace. What no policy allows is denied.')

const objectMetadata = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject({ name: z.string().min(1), ...shape }).readonly()

const manifest = <Kind extends string>(kind: Kind) => ({
  apiVersion: z.literal('postern.dev/v1alpha1'),
  kind: z.literal(kind),
  status: z.unknown().optional(),
})

/** A `ClusterPosternPolicy` as a manifest has it. */
export const clusterPolicyManifestSchema = z
  .strictObject({ ...manifest('ClusterPosternPolicy'), metadata: objectMetadata({}), spec, tests })
  .readonly()

/** A `PosternPolicy` as a manifest has it. Its namespace decides what it says, so it is not left to whoever applies it. */
export const namespacedPolicyManifestSchema = z
  .strictObject({
    ...manifest('PosternPolicy'),
    metadata: objectMetadata({ namespace: z.string({ error: 'the namespace that it is applied to' }).min(1) }),
    spec: namespacedSpec,
    tests,
  })
  .readonly()

export type PolicyDocument = z.output<typeof policyDocumentSchema>
export type ResourceRule = z.output<typeof resourceRuleSchema>
export type NonResourceRule = z.output<typeof nonResourceRuleSchema>
export type PolicyTest = z.output<typeof testSchema>
