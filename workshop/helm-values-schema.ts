import { z } from 'zod'
import { socketName } from '../src/config/socket-schema.ts'

type JSONSchema = z.core.JSONSchema.JSONSchema

const text = z.string()
const some = text.min(1)
const list = z.array(text)
/** Objects of Kubernetes' own, which the API server checks. */
const kubernetesObject = z.looseObject({})
const kubernetesObjects = z.array(kubernetesObject)
const textByName = z.record(some, text)
const empty = z.strictObject({})
/** What goes on into the connector document, whose own schema is put here. */
const ofConnector = z.unknown()

const listener = z.strictObject({ publicURL: ofConnector, trustedProxies: ofConnector })

const volume = z.strictObject({
  kind: z.enum(['claim', 'existingClaim', 'emptyDir']),
  size: some,
  storageClass: text,
  existingClaim: text,
})

const rule = z.strictObject({
  verbs: list.min(1),
  apiGroups: list.optional(),
  resources: list.optional(),
  resourceNames: list.optional(),
  nonResourceURLs: list.optional(),
})

/** `values.yaml` of the chart, once an installation's own values are merged into it. */
const valuesSchema = z
  .strictObject({
    kind: z.enum(['Deployment', 'StatefulSet']),
    replicas: z.int().min(0).max(50),
    image: z.strictObject({
      repository: some,
      tag: text,
      digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
      pullSecrets: kubernetesObjects,
    }),
    kubernetes: listener,
    portal: listener,
    tls: z.strictObject({
      existingSecret: text,
      trial: z.boolean(),
      certificateAuthority: text,
      certManager: z.union([empty, z.looseObject({ issuerRef: z.looseObject({ name: some }) })]),
    }),
    identity: ofConnector,
    sockets: ofConnector,
    defaultSocket: z.union([z.literal(''), socketName]),
    policies: z.strictObject({
      files: z.record(z.string().regex(/^[A-Za-z0-9_.-]+\.yaml$/), some),
      existingConfigMap: text,
      objects: ofConnector,
    }),
    rights: z.strictObject({
      kind: z.enum(['full', 'least', 'none']),
      rules: z.array(rule),
      impersonate: z.strictObject({
        users: list,
        groups: list,
        uids: list,
        extra: z.record(some, list.min(1)),
      }),
    }),
    recordings: z.strictObject({
      enabled: z.boolean(),
      s3: ofConnector,
      publicKey: text,
      retention: ofConnector,
      maskInput: ofConnector,
      volume,
    }),
    audit: z.strictObject({ trail: z.enum(['stdout', 'directory']), requestReceived: z.boolean(), volume }),
    state: z.strictObject({ volume }),
    limits: ofConnector,
    shutdownDelaySeconds: z.int().min(0).max(300),
    drainSeconds: z.int().min(0).max(86_400),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']),
    serviceAccount: z.strictObject({ create: z.boolean(), name: text, annotations: textByName }),
    service: z.strictObject({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']),
      annotations: textByName,
      kubernetesPort: z.int().min(1).max(65_535),
      portalPort: z.int().min(1).max(65_535),
      externalTrafficPolicy: z.enum(['', 'Cluster', 'Local']),
      loadBalancerSourceRanges: list,
    }),
    ingress: z.union([
      z.strictObject({ enabled: z.literal(false), className: text, annotations: textByName }),
      z.strictObject({
        enabled: z.literal(true),
        className: text,
        annotations: textByName.meta({ minProperties: 1 }),
      }),
    ]),
    gateway: z.union([
      z.strictObject({ enabled: z.literal(false), apiVersion: some, parentRefs: kubernetesObjects }),
      z.strictObject({ enabled: z.literal(true), apiVersion: some, parentRefs: kubernetesObjects.min(1) }),
    ]),
    metrics: z.strictObject({
      enabled: z.boolean(),
      serviceMonitor: z.strictObject({ enabled: z.boolean(), interval: some, labels: textByName }),
    }),
    networkPolicy: z.strictObject({
      enabled: z.boolean(),
      from: kubernetesObjects,
      metricsFrom: kubernetesObjects,
      egress: kubernetesObjects,
    }),
    podDisruptionBudget: z.strictObject({ maxUnavailable: z.union([z.int().min(1), z.string().regex(/^\d+%$/)]) }),
    resources: kubernetesObject,
    podAnnotations: textByName,
    podLabels: textByName,
    nodeSelector: textByName,
    tolerations: kubernetesObjects,
    affinity: kubernetesObject,
    topologySpreadConstraints: kubernetesObjects,
    priorityClassName: text,
    env: kubernetesObjects,
    envFrom: kubernetesObjects,
    volumes: kubernetesObjects,
    volumeMounts: kubernetesObjects,
    global: z.looseObject({}).optional(),
  })
  .describe('Values of the Helm chart of Postern.')

/**
 * Schema of the Helm chart's values, from that of the connector document: so helm finds a mistake in either before
 * anything is installed.
 */
export function helmValuesSchema(connector: JSONSchema): JSONSchema {
  const values = z.toJSONSchema(valuesSchema, { io: 'input', target: 'draft-07' })
  const s3 = without(at(connector, 'recordings', 'store', 's3'), 'spool')
  for (const name of ['kubernetes', 'portal']) {
    const unsaid: JSONSchema = { type: 'string', const: '' }
    const publicURL = at(connector, 'listen', name, 'publicURL')
    Object.assign(at(values, name, 'publicURL'), { anyOf: [unsaid, publicURL] })
    Object.assign(at(values, name, 'trustedProxies'), at(connector, 'listen', name, 'trustedProxies'))
  }
  Object.assign(at(values, 'identity'), orEmpty(at(connector, 'identity'), { issuers: { maxItems: 0 } }))
  Object.assign(at(values, 'policies', 'objects'), orEmpty(at(connector, 'policyObjects'), {}))
  Object.assign(at(values, 'sockets'), at(connector, 'sockets'))
  Object.assign(at(values, 'limits'), without(without(at(connector, 'limits'), 'drainTimeout'), 'shutdownDelay'))
  Object.assign(at(values, 'recordings', 's3'), orEmpty(s3, {}))
  Object.assign(at(values, 'recordings', 'retention'), at(connector, 'recordings', 'retention'))
  Object.assign(at(values, 'recordings', 'maskInput'), at(connector, 'recordings', 'maskInput'))
  return withPatternsOfGo(values)
}

function at(schema: JSONSchema, ...path: readonly string[]): JSONSchema {
  const found = path.reduce<JSONSchema['anyOf'] | JSONSchema | boolean | undefined>(
    (parent, name) => (parent as JSONSchema | undefined)?.properties?.[name],
    schema,
  )
  if (typeof found !== 'object') throw new Error(`the schema has no ${path.join('.')}`)
  return found as JSONSchema
}

function without(schema: JSONSchema, name: string): JSONSchema {
  const kept = Object.entries(schema.properties ?? {}).filter(([property]) => property !== name)
  const required = (schema.required ?? []).filter((property) => property !== name)
  return { ...schema, properties: Object.fromEntries(kept), required }
}

/** What the chart's own default is until an installation says more. */
function orEmpty(schema: JSONSchema, properties: Readonly<Record<string, JSONSchema>>): JSONSchema {
  return { anyOf: [{ type: 'object', properties: { ...properties }, additionalProperties: false }, schema] }
}

/** Lookahead and more than a thousand repetitions, which Go's RE2 and so Helm does not know. */
const UNKNOWN_TO_GO = /\(\?(?!:)|,\d{4,}\}/

/** Patterns that Helm cannot read are left to the connector. */
function withPatternsOfGo(schema: JSONSchema): JSONSchema {
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      key === 'pattern' && typeof value === 'string' && UNKNOWN_TO_GO.test(value) ? undefined : value,
    ),
  ) as JSONSchema
}
