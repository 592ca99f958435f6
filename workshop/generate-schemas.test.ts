import { expect, test } from 'vitest'
import { connectorSchema } from '../src/config/connector-schema.ts'
import { parseDocument } from '../src/document/document.ts'
import { policyDocumentSchema } from '../src/policy/policy-document.ts'
import { CONNECTOR_EXAMPLE, POLICY_EXAMPLE, generateFiles, outdatedFiles } from './generate-schemas.ts'

test('what is generated is what is checked in', { timeout: 30_000 }, async () => {
  expect(await outdatedFiles()).toEqual([])
})

test('the examples on the page are right', () => {
  expect(parseDocument(connectorSchema, CONNECTOR_EXAMPLE, 'connector.yaml').value.sockets).toHaveLength(1)
  expect(parseDocument(policyDocumentSchema, POLICY_EXAMPLE, 'policy.yaml').value.spec.rules).toHaveLength(3)
})

test('every key of a connector is explained', async () => {
  const page = (await generateFiles()).find(({ path }) => path === 'docs/configuration.md')?.text ?? ''
  const [connector = ''] = page.split('## Policy')
  expect(connector).toContain('| `drainTimeout`')
  const bare = connector.split('\n').filter((line) => /^\| `.*\|\s*\|$/.test(line))
  expect(bare).toEqual([])
})
