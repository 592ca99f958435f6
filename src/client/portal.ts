import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { ClientError } from './client-error.ts'
import { createHttpsFetch, type FetchRequest } from './https-fetch.ts'

const httpsURL = z.url({ protocol: /^https$/ })
/** Base64 of PEM, as in a kubeconfig. Absent when the system's authorities are to be trusted. */
const certificateAuthorityData = z
  .base64()
  .refine((data) => isCertificate(decodeAuthority(data)), { error: 'is no PEM certificate' })
  .optional()

const discovery = z.object({
  apiVersion: z.literal('postern.dev/v1alpha1'),
  kubernetes: z.object({ publicURL: httpsURL, certificateAuthorityData }),
  issuers: z.array(
    z.object({
      url: httpsURL,
      clientID: z.string().min(1),
      scopes: z.array(z.string().min(1)),
      redirectPath: z
        .string()
        .regex(/^\/[\w./~-]*$/)
        .optional(),
      certificateAuthorityData,
    }),
  ),
})

/** Fields that we do not read stay in, so that `-o json` shows them. */
const socketList = z.looseObject({
  kind: z.literal('SocketList'),
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({ name: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/) }),
      status: z.looseObject({ url: httpsURL, certificateAuthorityData, access: z.array(z.string()) }),
    }),
  ),
})

const selfSubjectReview = z.object({
  kind: z.literal('SelfSubjectReview'),
  status: z.object({
    userInfo: z.object({
      username: z.string().min(1),
      uid: z.string().optional(),
      groups: z.array(z.string()).default([]),
      extra: z.record(z.string(), z.array(z.string())).default({}),
    }),
  }),
})

const status = z.object({ kind: z.literal('Status'), message: z.string() })

/** What a portal tells everybody: where the sockets are and who can sign people in. */
type Discovery = z.infer<typeof discovery>
export type DiscoveredIssuer = Discovery['issuers'][number]
export type SocketList = z.infer<typeof socketList>
/** A way in to a cluster. */
export type Socket = SocketList['items'][number]
/** The subject that a token stands for, as the gateway sees it. */
export type UserInfo = z.infer<typeof selfSubjectReview>['status']['userInfo']

/** A portal, seen from a laptop. Holds no connection. */
export interface Portal {
  /** Origin. */
  readonly url: string
  discover(): Promise<Discovery>
  /** The sockets that the person may reach, in the portal's order. */
  listSockets(idToken: string): Promise<SocketList>
  whoAmI(idToken: string): Promise<UserInfo>
}

/**
 * A portal at an origin. `certificateAuthority` is PEM, empty to trust the system's authorities.
 *
 * Its calls throw ClientError: `Unreachable` and `Untrusted` from the network, `NotSignedIn` for a token that the portal
 * does not take, `Refused` for other refusals, `Unexpected` for an answer that is none of a portal.
 */
export function connectPortal(url: string, certificateAuthority: string): Portal {
  const fetch = createHttpsFetch(certificateAuthority)
  const request = async <T>(path: string, shape: z.ZodType<T>, options: FetchRequest = {}): Promise<T> => {
    const response = await fetch(`${url}${path}`, options)
    const body: unknown = await response.json().catch(() => undefined)
    if (response.status === 200 || response.status === 201) {
      const parsed = shape.safeParse(body)
      if (parsed.success) return parsed.data
      const [issue] = parsed.error.issues
      throw unexpected(url, `${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
    }
    const message = status.safeParse(body).data?.message
    if (message === undefined) throw unexpected(url, `${path}: HTTP ${response.status}`)
    throw response.status === 401
      ? new ClientError('NotSignedIn', `${url} does not take your login: ${message}`)
      : new ClientError('Refused', `${url} answered ${response.status}: ${message}`)
  }
  const bearer = (idToken: string): Record<string, string> => ({ authorization: `Bearer ${idToken}` })

  return {
    url,
    discover: () => request('/.well-known/postern', discovery),
    listSockets: (idToken) => request('/apis/postern.dev/v1alpha1/sockets', socketList, { headers: bearer(idToken) }),
    whoAmI: async (idToken) => {
      const review = await request('/apis/authentication.k8s.io/v1/selfsubjectreviews', selfSubjectReview, {
        method: 'POST',
        headers: { ...bearer(idToken), 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
      })
      return review.status.userInfo
    },
  }
}

function unexpected(url: string, what: string): ClientError {
  return new ClientError('Unexpected', `${url} does not answer as a Postern portal (${what}); look at the address`)
}

/** PEM of a `certificateAuthorityData`; empty when there is none. */
export function decodeAuthority(data: string | undefined): string {
  return Buffer.from(data ?? '', 'base64').toString('utf8')
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem)
    return true
  } catch {
    return false
  }
}
