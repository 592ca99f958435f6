import { createAuthorizer } from '../../src/policy/policy-authorizer.ts'
import type { PolicyAuthorizer } from '../../src/policy/policy-authorizer.ts'
import { loadPolicies } from '../../src/policy/policy-set.ts'

/** A policy document whose spec is YAML in flow style without the outer braces. */
export function policyText(name: string, spec: string): string {
  return `apiVersion: postern.dev/v1alpha1\nkind: Policy\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`
}

/** An authorizer over documents of these names and specs, each in a file of its own. */
export function authorizerOf(specs: Readonly<Record<string, string>>): PolicyAuthorizer {
  const files = Object.entries(specs).map(([name, spec]) => ({ file: `${name}.yaml`, text: policyText(name, spec) }))
  return createAuthorizer(loadPolicies(files))
}
