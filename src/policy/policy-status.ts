import { z } from 'zod'

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
})

export type PolicyStatus = Readonly<z.output<typeof policyStatusSchema>>
