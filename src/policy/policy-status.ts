import { z } from 'zod'

/** What a connector tells of the policies that are Kubernetes objects. */
const policyObjectsStatusSchema = z.object({
  /** The socket whose cluster they are in. */
  socket: z.string(),
  /** False until they were read for the first time; nothing is let through until then. */
  known: z.boolean(),
  /** Since when they cannot be read (RFC 3339), with what was known then in force; null when they can. */
  staleSince: z.iso.datetime().nullable(),
  /** Why not; empty when they can. */
  problem: z.string(),
  /** How many there are. */
  count: z.int(),
  /** What is wrong with those that are not in force as they are now; a line each. */
  refused: z.array(z.string()),
})

/** What a connector tells of the policy that it decides by. */
export const policyStatusSchema = z.object({
  /** `sha256:…` of the policies in force. */
  revision: z.string(),
  /** Since when this process decides by them (RFC 3339). */
  inForceSince: z.iso.datetime(),
  /** The files that they were read from, in order. */
  files: z.array(z.string()),
  /** How many policies and rules there are, without those that are built in. */
  policies: z.int(),
  rules: z.int(),
  /** What is wrong with the files as they are now, for which this revision stays in force; a line each. */
  problems: z.array(z.string()),
  /** `sha256:…` of what the files say by themselves. */
  filesRevision: z.string(),
  /** Null when the connector watches none. */
  objects: policyObjectsStatusSchema.nullable(),
})

export type PolicyObjectsStatus = Readonly<z.output<typeof policyObjectsStatusSchema>>
export type PolicyStatus = Readonly<z.output<typeof policyStatusSchema>>
