import { z } from 'zod'

/** The login that a request comes with, in the place of an id. */
export const CURRENT_LOGIN = 'current'

/** A login. Fields that we do not read stay in, so that `-o json` shows them. */
export const loginShape = z.looseObject({
  kind: z.literal('Login').default('Login'),
  metadata: z.looseObject({ name: z.string().regex(/^[0-9a-f-]{36}$/), creationTimestamp: z.iso.datetime() }),
  spec: z.looseObject({
    username: z.string(),
    uid: z.string(),
    groups: z.array(z.string()),
    issuer: z.string(),
    authenticationTime: z.iso.datetime().optional(),
  }),
  status: z.looseObject({
    state: z.enum(['active', 'expired', 'revoked']),
    current: z.boolean(),
    lastSeenTime: z.iso.datetime(),
    expiryTime: z.iso.datetime(),
    places: z.array(z.looseObject({ sourceIP: z.string(), userAgent: z.string(), lastSeenTime: z.iso.datetime() })),
    revocation: z.looseObject({ time: z.iso.datetime(), by: z.string(), reason: z.string() }).optional(),
  }),
})

/** A login as the portal tells it. */
export type PortalLogin = z.infer<typeof loginShape>

export const loginList = z.object({
  kind: z.literal('LoginList'),
  metadata: z.looseObject({ continue: z.string().optional() }),
  items: z.array(loginShape),
})

/** 200 logins of people in up to a thousand groups each. */
export const MAX_LOGINS_BYTES = 64 * 1024 * 1024

/** Those of one person; of everybody when no username is given. */
export function loginsOf(logins: readonly PortalLogin[], username: string | undefined): readonly PortalLogin[] {
  return logins.filter(({ spec }) => username === undefined || spec.username === username)
}
