import { readFile, rename, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { z } from 'zod'
import { connectorSchema } from '../src/config/connector-schema.ts'
import { policyDocumentSchema } from '../src/policy/policy-document.ts'
import { renderConfigurationPage } from './configuration-page.ts'
import type { DescribedDocument } from './configuration-page.ts'
import { renderTroubleshootingPage } from './troubleshooting-page.ts'
import { helmValuesSchema } from './helm-values-schema.ts'
import { policyCRDs } from './policy-crds.ts'

const ROOT = new URL('../', import.meta.url)
const TROUBLESHOOTING = 'docs/troubleshooting.md'

export const CONNECTOR_EXAMPLE = `
apiVersion: postern.dev/v1alpha1
kind: Connector
listen:
  kubernetes:
    tls: { certificate: tls.crt, key: tls.key }
    publicURL: https://kube.example.com
  portal:
    tls: { certificate: tls.crt, key: tls.key }
    publicURL: https://postern.example.com
identity:
  issuers:
    - issuer: { url: https://sso.example.com, audiences: [postern] }
      client: { id: postern, scopes: [openid, profile, email, groups, offline_access] }
      claimMappings:
        username: { claim: email, prefix: "" }
        groups: { claim: groups, prefix: "" }
      claimValidationRules: [{ claim: hd, requiredValue: example.com }]
sockets:
  - name: production
    upstream: { kubeconfig: { path: ~/.kube/config, context: prod } }
policies: [policies/*.yaml]
audit: { trail: { directory: /var/lib/postern/audit } }
`

export const POLICY_EXAMPLE = `
apiVersion: postern.dev/v1alpha1
kind: Policy
metadata: { name: payments-developers }
spec:
  sockets: [production]
  subjects: { groups: [payments-dev] }
  rules:
    - { verbs: [get, list, watch], apiGroups: ["", apps], resources: [pods, pods/log, deployments], namespaces: [payments] }
    - { verbs: [create], apiGroups: [""], resources: [pods/exec], namespaces: [payments], session: { maxDuration: 8h } }
    - { effect: deny, verbs: ["*"], resources: [secrets] }
`

/** A file that is made, from the schemas or from what the tests hold, by its path from the root. */
export interface GeneratedFile {
  readonly path: string
  readonly text: string
}

/** Everything that is made, formatted. */
export async function generateFiles(): Promise<readonly GeneratedFile[]> {
  const documents: readonly DescribedDocument[] = [
    {
      kind: 'Connector',
      schema: jsonSchema(connectorSchema),
      schemaFile: '../schemas/connector.schema.json',
      example: CONNECTOR_EXAMPLE,
    },
    {
      kind: 'Policy',
      schema: jsonSchema(policyDocumentSchema),
      schemaFile: '../schemas/policy.schema.json',
      example: POLICY_EXAMPLE,
    },
  ]
  const files = documents.map(({ schema, schemaFile }) => ({
    path: schemaFile.replace('../', ''),
    text: JSON.stringify(schema),
  }))
  const others = [
    ...policyCRDs(),
    { path: 'docs/configuration.md', text: renderConfigurationPage(documents) },
    { path: TROUBLESHOOTING, text: renderTroubleshootingPage(await readFile(new URL(TROUBLESHOOTING, ROOT), 'utf8')) },
    {
      path: 'deploy/helm/postern/values.schema.json',
      text: JSON.stringify(helmValuesSchema(jsonSchema(connectorSchema))),
    },
  ]
  return Promise.all([...files, ...others].map(formatted))
}

/** What may be written in a document, in the dialect that editors know best. */
function jsonSchema(schema: z.ZodType): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-07',
    override: ({ jsonSchema: made }) => {
      delete made.readOnly
    },
  })
}

async function formatted({ path, text }: GeneratedFile): Promise<GeneratedFile> {
  const filepath = new URL(path, ROOT).pathname
  return { path, text: await format(text, { ...(await resolveConfig(filepath)), filepath }) }
}

/** The paths whose file in the tree is not what is generated. */
export async function outdatedFiles(): Promise<readonly string[]> {
  const outdated: string[] = []
  for (const { path, text } of await generateFiles()) {
    const found = await readFile(new URL(path, ROOT), 'utf8').catch(() => null)
    if (found !== text) outdated.push(path)
  }
  return outdated
}

async function write({ path, text }: GeneratedFile): Promise<void> {
  const temporary = new URL(`${path}.new`, ROOT)
  await writeFile(temporary, text)
  await rename(temporary, new URL(path, ROOT))
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  if (values.check) {
    for (const path of await outdatedFiles()) {
      console.error(`${path} is not what is generated; run: node workshop/generate-schemas.ts`)
      process.exitCode = 1
    }
  } else {
    await Promise.all((await generateFiles()).map(write))
  }
}
