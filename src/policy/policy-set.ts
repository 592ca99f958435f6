import { createHash } from 'node:crypto'
import { DocumentError, mistakeAt } from '../document/document.ts'
import { inspectDocuments } from '../document/document-stream.ts'
import type { DocumentPath } from '../document/document-path.ts'
import type { DocumentLines, Mistake } from '../document/document.ts'
import type { Conditions } from './conditions.ts'
import { DISCOVERY, discoveryPolicy } from './discovery-policy.ts'
import { policyDocumentSchema } from './policy-document.ts'
import type { NonResourceRule, PolicyDocument, PolicyTest, ResourceRule } from './policy-document.ts'

/** A rule with its name and its place. */
export type Rule = (ResourceRule | NonResourceRule) & {
  /** `POLICY#N`, N counting from 1. */
  readonly id: string
  /** `FILE:LINE`, or `KIND/NAME: PATH` of a Kubernetes object. */
  readonly location: string
}

/** What one policy document says. */
export interface Policy {
  /** That of an object is `ClusterPosternPolicy/NAME` or `PosternPolicy/NAMESPACE/NAME`, as no file can say. */
  readonly name: string
  /** Undefined means any. */
  readonly sockets: readonly string[] | undefined
  readonly subjects: { readonly groups: readonly string[]; readonly users: readonly string[] }
  readonly conditions: Conditions | undefined
  readonly rules: readonly Rule[]
  readonly tests: readonly PolicyExample[]
}

/** A test with its place. */
export type PolicyExample = PolicyTest & {
  /** `FILE:LINE`. */
  readonly location: string
}

/** One revision of the policy, whole. */
export interface PolicySet {
  /** `sha256:…` over what decides: names, subjects, sockets, conditions and rules, without comments, places and tests. */
  readonly revision: string
  /** In order of name, whatever the order of files, and then the built-in ones. */
  readonly policies: readonly Policy[]
  /** Names of the files that they were read from. */
  readonly files: readonly string[]
}

/** The text of one file. */
export interface PolicyFile {
  /** Its name, as it is to appear in locations and mistakes. */
  readonly file: string
  readonly text: string
}

/** One document as it was read. */
export interface ReadPolicy extends DocumentLines {
  /** In order of line; empty when the document is right. */
  readonly mistakes: readonly Mistake[]
  /** Undefined when it has no sound one. */
  readonly name: string | undefined
  /** Null when there are mistakes. */
  readonly policy: Policy | null
}

/** Reads the documents of a file. */
export type PolicyReader = (file: PolicyFile) => Iterable<ReadPolicy>

/**
 * Reads policy files, each with one or more documents, whole or not at all. No files grant nothing but discovery.
 *
 * @param read whichever documents count; only those of kind Policy unless said otherwise, and others are mistakes
 * @throws DocumentError with every mistake of every file.
 */
export function loadPolicies(files: readonly PolicyFile[], read: PolicyReader = readPolicyDocuments): PolicySet {
  const mistakes: Mistake[] = []
  const policies: Policy[] = []
  const places = new Map<string, string>()
  for (const file of files) {
    for (const document of read(file)) {
      mistakes.push(...document.mistakes)
      const { name, policy } = document
      const path = ['metadata', 'name']
      const first = name === undefined ? undefined : places.get(name)
      if (first !== undefined) mistakes.push(mistakeAt(document, path, `is the name of the policy at ${first} too`))
      else if (name !== undefined) places.set(name, `${file.file}:${document.lineOf(path)}`)
      if (policy !== null) policies.push(policy)
    }
  }
  if (mistakes.length > 0) throw new DocumentError(mistakes)
  return policySet(
    policies,
    files.map(({ file }) => file),
  )
}

/** Reads the documents of a file, all of which have to be of kind Policy. */
export function* readPolicyDocuments({ file, text }: PolicyFile): Generator<ReadPolicy, void, undefined> {
  for (const document of inspectDocuments(policyDocumentSchema, text, file)) {
    const { value, mistakes, lineOf } = document
    const name = document.sound?.metadata?.name
    const policy = value === null ? null : toPolicy(value.metadata.name, value, (at) => `${file}:${lineOf(at)}`)
    yield { file, lineOf, mistakes, name, policy }
  }
}

/** The policy set of these policies and the built-in ones. */
function policySet(policies: readonly Policy[], files: readonly string[]): PolicySet {
  const ordered = policies.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const all = [...ordered, toPolicy(DISCOVERY, discoveryPolicy, () => 'built-in')]
  const decisive = all.map(({ tests: _tests, ...policy }) => ({
    ...policy,
    rules: policy.rules.map(({ location: _location, ...rule }) => rule),
  }))
  const digest = createHash('sha256').update(canonicalJson(decisive)).digest('hex')
  return { revision: `sha256:${digest}`, policies: all, files }
}

/** What policies of files and of other sources say together. Their names differ. */
export function joinPolicies({ policies, files }: PolicySet, others: readonly Policy[]): PolicySet {
  return policySet([...policies.filter(({ name }) => name !== DISCOVERY), ...others], files)
}

/** The policy of this name that a document without mistakes states. */
export function toPolicy(
  name: string,
  { spec, tests }: Pick<PolicyDocument, 'spec' | 'tests'>,
  locationOf: (path: DocumentPath) => string,
): Policy {
  return {
    name,
    sockets: spec.sockets,
    subjects: spec.subjects,
    conditions: spec.conditions,
    rules: spec.rules.map((rule, index) => ({
      ...rule,
      id: `${name}#${index + 1}`,
      location: locationOf(['spec', 'rules', index]),
    })),
    tests: tests.map((test, index) => ({ ...test, location: locationOf(['tests', index]) })),
  }
}

/** JSON with the keys of every object in order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
