import type { z } from 'zod'

type Schema = z.core.JSONSchema.JSONSchema

/** A kind of document, as the page describes it. */
export interface DescribedDocument {
  /** Value of `kind`. */
  readonly kind: string
  readonly schema: Schema
  /** Path from `docs/` to the JSON Schema. */
  readonly schemaFile: string
  /** A whole document in YAML. */
  readonly example: string
}

const INTRODUCTION = `# Configuration

<!-- Generated from the schemas in src/ by: node workshop/generate-schemas.ts -->

A connector reads one document of kind \`Connector\`, and the documents of kind \`Policy\` that it names. Both are YAML 1.2.
\`postern connector check --config FILE\` tells everything that is wrong with them at once, a line each:

\`\`\`text
connector.yaml:4: listen.kubernetes.adress: unknown key, did you mean "address"?
\`\`\`

- Unknown keys, keys that stand twice, tags and more than one connector document in a file are mistakes.
- A **duration** carries its units, largest first: \`30s\`, \`8h\`, \`1h30m\`, \`250ms\`. A **size** does too: \`512B\`, \`64KiB\`, \`1MiB\`.
- A **path** is absolute, relative to the directory of the document that has it, or begins with \`~/\`.
- A **secret** never stands in a document. Its place holds \`{ file: PATH }\` or \`{ env: NAME }\`.
- Where exactly one of several keys is asked for, the key says what it is: \`{ kubeconfig: … }\` or \`{ inCluster: {} }\`.
`

/** The page as Markdown, not yet formatted. */
export function renderConfigurationPage(documents: readonly DescribedDocument[]): string {
  return [INTRODUCTION, ...documents.map(renderDocument)].join('\n')
}

function renderDocument({ kind, schema, schemaFile, example }: DescribedDocument): string {
  const modeline = `# yaml-language-server: $schema=…/${schemaFile.split('/').at(-1) ?? ''}`
  return [
    `## ${kind}`,
    schema.description ?? '',
    `[Its JSON Schema](${schemaFile}) helps editors: \`${modeline}\`.`,
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
    ...sections(schema, ''),
  ].join('\n\n')
}

/** A heading and a table for each object, in order of the document. */
function sections(schema: Schema, path: string): string[] {
  const one = oneOfSeveral(schema)
  if (one !== null) return sections({ description: schema.description ?? '', ...one }, path)
  if (schema.anyOf !== undefined) {
    return schema.anyOf.flatMap((branch) => {
      const key = ownKey(branch, schema.anyOf)
      return sections(asSchema(branch), key === '' ? path : `${path} with ${key}`)
    })
  }
  if (schema.type === 'array') return sections(asSchema(schema.items), `${path}[]`)
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return []
  const inner = properties.flatMap(([name, property]) =>
    sections(asSchema(property), path === '' ? name : `${path}.${name}`),
  )
  return [...(path === '' ? [] : [`### ${path}`, schema.description ?? '']), table(schema, properties), ...inner]
}

function table(schema: Schema, properties: [string, z.core.JSONSchema._JSONSchema][]): string {
  const choice = schema.maxProperties === 1 && properties.length > 1
  const rows = properties.map(([name, property]) => {
    const described = asSchema(property)
    const structured = described.properties !== undefined || described.default === undefined
    const fallback = structured ? '' : `\`${JSON.stringify(described.default)}\``
    const need = choice ? 'one of these' : schema.required?.includes(name) === true ? '**required**' : fallback
    return `| \`${name}\` | ${typeName(described)} | ${need} | ${cell(described.description ?? '')} |`
  })
  return ['| key | type | default | |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function typeName(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ')
  if (schema.title !== undefined) return schema.title
  const one = oneOfSeveral(schema)
  if (one !== null) return `${typeName(one)}, or a list of ${plural(typeName(one))}`
  switch (schema.type) {
    case 'array':
      return `list of ${plural(typeName(asSchema(schema.items)))}${schema.minItems === undefined ? '' : ', not empty'}`
    case 'integer':
      return `whole number, ${schema.minimum ?? 0} to ${schema.maximum ?? '…'}`
    case 'boolean':
      return '`true`, `false`'
    case 'string':
      return 'text'
    default:
      return 'object'
  }
}

/** What stands alone or in a list; null for other schemas. */
function oneOfSeveral({ anyOf = [] }: Schema): Schema | null {
  const [one, list] = anyOf.map(asSchema)
  const alike = JSON.stringify(one) === JSON.stringify(list?.items)
  return anyOf.length === 2 && one !== undefined && alike ? one : null
}

function plural(name: string): string {
  return name === 'object' || name === 'path' ? `${name}s` : name
}

/** The key that one branch has and no other. */
function ownKey(branch: z.core.JSONSchema._JSONSchema, branches: Schema['anyOf'] = []): string {
  const others = new Set(
    branches.filter((other) => other !== branch).flatMap((other) => Object.keys(asSchema(other).properties ?? {})),
  )
  return (asSchema(branch).required ?? []).find((key) => !others.has(key)) ?? ''
}

function asSchema(schema: Schema['items']): Schema {
  return typeof schema === 'object' && !Array.isArray(schema) ? schema : {}
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
