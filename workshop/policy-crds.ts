import { z } from 'zod'
import { stringify } from 'yaml'
import { clusterPolicySchema, namespacedPolicySchema } from '../src/policy/policy-document.ts'

type JSONSchema = z.core.JSONSchema.JSONSchema
type Structural = Record<string, unknown>

interface CustomResource {
  readonly kind: string
  readonly plural: string
  readonly scope: 'Cluster' | 'Namespaced'
  readonly schema: z.ZodType
}

const CUSTOM_RESOURCES: readonly CustomResource[] = [
  {
    kind: 'ClusterPosternPolicy',
    plural: 'clusterposternpolicies',
    scope: 'Cluster',
    schema: clusterPolicySchema,
  },
  { kind: 'PosternPolicy', plural: 'posternpolicies', scope: 'Namespaced', schema: namespacedPolicySchema },
]

/** The definitions of the kinds of policy objects, as YAML by path from the root. */
export function policyCRDs(): readonly { readonly path: string; readonly text: string }[] {
  return CUSTOM_RESOURCES.map((resource) => ({
    path: `deploy/crds/${resource.plural}.yaml`,
    text:
      '# Made from the schema of policies; change that and run: node workshop/generate-schemas.ts\n' +
      stringify(definition(resource), { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false }),
  }))
}

function definition({ kind, plural, scope, schema }: CustomResource): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.postern.dev` },
    spec: {
      group: 'postern.dev',
      scope,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        categories: ['postern'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Accepted', type: 'string', jsonPath: ".status.conditions[?(@.type=='Accepted')].status" },
            { name: 'Reason', type: 'string', jsonPath: ".status.conditions[?(@.type=='Accepted')].reason" },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: { openAPIV3Schema: root(schema) },
        },
      ],
    },
  }
}

function root(schema: z.ZodType): Structural {
  const { properties = {}, description } = z.toJSONSchema(schema, { io: 'input', target: 'draft-07' }) as JSONSchema
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      ...Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, structural(inner)])),
      status: STATUS,
    },
  }
}

/** @see k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, Condition (v0.36) */
const STATUS: Structural = {
  type: 'object',
  description: 'What the connector says of the policy.',
  properties: {
    conditions: {
      type: 'array',
      description: '`Accepted` says whether the policy is in force as it stands, and if not, what is wrong with it.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: { type: 'string', maxLength: 316 },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
          lastTransitionTime: { type: 'string', format: 'date-time' },
          reason: { type: 'string', minLength: 1, maxLength: 1024 },
          message: { type: 'string', maxLength: 32768 },
        },
      },
    },
  },
}

/**
 * A structural schema of what a JSON Schema takes, or of more: the connector itself says what is wrong with the rest.
 *
 * The API server drops keys that a schema does not know and says nothing, which would widen a rule with a misspelt
 * exception. So every object keeps them, and the connector refuses it.
 *
 * @see Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions", Specifying a structural schema
 */
function structural(schema: JSONSchema | boolean): Structural {
  if (typeof schema === 'boolean') throw new TypeError('a schema that is true or false has no structure')
  if (schema.anyOf !== undefined) return union(schema)
  const { type, description, enum: values, items, properties, additionalProperties } = schema
  return {
    ...(type !== undefined && { type }),
    ...(description !== undefined && { description }),
    ...(values !== undefined && { enum: values }),
    ...bounds(schema),
    ...patterns(schema),
    ...(items !== undefined && !Array.isArray(items) && { items: structural(items) }),
    ...(properties !== undefined && {
      ...(schema.required !== undefined && { required: schema.required }),
      properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, structural(inner)])),
      'x-kubernetes-preserve-unknown-fields': true,
    }),
    ...(properties === undefined &&
      typeof additionalProperties === 'object' && { additionalProperties: structural(additionalProperties) }),
  }
}

/** Objects of which each has a key that the others lack: all keys in one place, and that one of the keys has to be there. */
function union({ anyOf = [], description }: JSONSchema): Structural {
  const branches = anyOf
  const required = branches.map((branch) => branch.required ?? [])
  const common = (required[0] ?? []).filter((key) => required.every((keys) => keys.includes(key)))
  const properties = Object.assign({}, ...branches.map((branch) => branch.properties)) as Record<string, JSONSchema>
  return {
    ...structural({ type: 'object', properties, required: common }),
    ...(description !== undefined && { description }),
    oneOf: required.map((keys) => ({ required: keys.filter((key) => !common.includes(key)) })),
  }
}

function bounds(schema: JSONSchema): Structural {
  const kept = ['minItems', 'maxItems', 'minLength', 'maxLength', 'minimum', 'maximum'] as const
  return Object.fromEntries(kept.flatMap((key) => (schema[key] === undefined ? [] : [[key, schema[key]]])))
}

/** Those that RE2 knows, which looks neither ahead nor behind. */
function patterns({ pattern, allOf = [] }: JSONSchema): Structural {
  const written = [pattern, ...allOf.map((part) => part.pattern)]
  const known = written.filter((text) => text !== undefined && !/\(\?(?:=|!|<[=!])/.test(text))
  if (known.length < 2) return known.length === 0 ? {} : { pattern: known[0] }
  return { allOf: known.map((text) => ({ pattern: text })) }
}
