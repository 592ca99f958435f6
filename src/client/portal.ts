import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { ClientError } from './client-error.ts'
import { createHttpsFetch } from './https-fetch.ts'
import { createHttpsStream, explainNetworkError, type FetchRequest } from './https-stream.ts'
import { loginList, loginShape, MAX_LOGINS_BYTES, type PortalLogin } from './portal-logins.ts'

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
      /** What is absent: no such grant, 127.0.0.1, a path of each login's own, any port. */
      deviceAuthorization: z.boolean().default(false),
      redirectHost: z.enum(['127.0.0.1', '::1', 'localhost']).default('127.0.0.1'),
      redirectPath: z
        .string()
        .regex(/^\/[\w./~-]*$/)
        .optional(),
      redirectPorts: z.array(z.int().min(1024).max(65535)).default([]),
      /** What is asked in the issuer's place: the portal's own, where the client has a secret. */
      authorizationServer: httpsURL.optional(),
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

/** Its parts are for whoever knows what a recording is. */
const recording = z.looseObject({
  kind: z.literal('Recording'),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({}),
  status: z.looseObject({}),
})

/** In a list they are known to be recordings, and need not say so. */
const recordingList = z.object({
  kind: z.literal('RecordingList'),
  metadata: z.looseObject({ continue: z.string().optional() }),
  items: z.array(recording.extend({ kind: z.literal('Recording').default('Recording') })),
})

/** The last time that a Date can hold, in milliseconds since the epoch. */
const LATEST_MS = 8_640_000_000_000_000

/** A session under way. Fields that we do not read stay in, so that `-o json` shows them. */
const session = z.looseObject({
  kind: z.literal('Session').default('Session'),
  metadata: z.looseObject({ name: z.string().regex(/^[0-9a-f-]{36}$/) }),
  spec: z.looseObject({
    kind: z.string(),
    socket: z.string(),
    namespace: z.string(),
    pod: z.string(),
    container: z.string(),
    command: z.array(z.string()),
    tty: z.boolean(),
    username: z.string(),
    groups: z.array(z.string()),
    impersonatedUsername: z.string(),
    sourceIP: z.string(),
    rule: z.string(),
    record: z.string(),
    auditId: z.string(),
    startedAtMs: z.int().min(0).max(LATEST_MS),
  }),
  status: z.looseObject({
    lastActivityTime: z.iso.datetime(),
    sentBytes: z.number(),
    receivedBytes: z.number(),
    recording: z.boolean(),
  }),
})

const sessionList = z.looseObject({ kind: z.literal('SessionList'), items: z.array(session) })
const success = z.object({ kind: z.literal('Status'), status: z.literal('Success') })

/** Thousands of sessions, with commands of any length. */
const MAX_SESSIONS_BYTES = 64 * 1024 * 1024
/** How often a connection that stands still is asked whether it is still there. */
const KEEP_ALIVE_MS = 30_000

/** A recording has up to 10,000 files and as many connections, a list 200 recordings with commands of any length. */
const MAX_RECORDINGS_BYTES = 64 * 1024 * 1024
const MAX_STATUS_BYTES = 64 * 1024
/** A stream that stands still for so long is given up. */
const IDLE_TIMEOUT_MS = 60_000

const status = z.object({ kind: z.literal('Status'), message: z.string() })

/** What a portal tells everybody: where the sockets are and who can sign people in. */
type Discovery = z.infer<typeof discovery>
export type DiscoveredIssuer = Discovery['issuers'][number]
export type SocketList = z.infer<typeof socketList>
/** A way in to a cluster. */
export type Socket = SocketList['items'][number]
/** The subject that a token stands for, as the gateway sees it. */
export type UserInfo = z.infer<typeof selfSubjectReview>['status']['userInfo']

/** A session under way, as the portal tells it. */
export type LiveSession = z.infer<typeof session>
export type SessionList = z.infer<typeof sessionList>

/** A recording as the portal tells it. */
export type PortalRecording = z.infer<typeof recording>

/** A portal, seen from a laptop. Holds no connection. */
export interface Portal {
  /** Origin. */
  readonly url: string
  discover(): Promise<Discovery>
  /** The sockets that the person may reach, in the portal's order. */
  listSockets(idToken: string): Promise<SocketList>
  whoAmI(idToken: string): Promise<UserInfo>
  /** The sessions that the person may see, in the order of their opening. */
  listSessions(idToken: string): Promise<SessionList>
  getSession(idToken: string, id: string): Promise<LiveSession>
  /** Ends a session. Whose it is gets to know the reason, which may be empty. */
  endSession(idToken: string, id: string, reason: string): Promise<void>
  /**
   * A session's asciicast as it grows, until the session ends. It fails with ClientError when it breaks off; the signal
   * ends it.
   */
  followSession(idToken: string, id: string, signal: AbortSignal): Promise<Readable>
  /** The logins that the person may see, newest first. */
  listLogins(idToken: string): Promise<readonly PortalLogin[]>
  /** `id` may be `current`, for that of the token. */
  getLogin(idToken: string, id: string): Promise<PortalLogin>
  /** Revokes a login: its tokens are refused from then on. `id` may be `current`; the reason may be empty. */
  revokeLogin(idToken: string, id: string, reason: string): Promise<void>
  /** The recordings that the person may see, newest first, a page at a time; those of a page without their long parts. */
  listRecordings(idToken: string): AsyncIterable<readonly PortalRecording[]>
  getRecording(idToken: string, id: string): Promise<PortalRecording>
  /** The asciicast as it is stored. It fails with ClientError; whoever asked destroys it when done early. */
  readCast(idToken: string, id: string): Promise<Readable>
}

/**
 * A portal at an origin. `certificateAuthority` is PEM, empty to trust the system's authorities.
 *
 * Its calls throw ClientError: `Unreachable` and `Untrusted` from the network, `NotSignedIn` for a token that the portal
 * does not take, `Refused` for other refusals, `Unexpected` for an answer that is none of a portal.
 */
export function connectPortal(url: string, certificateAuthority: string): Portal {
  const fetch = createHttpsFetch(certificateAuthority)
  const open = createHttpsStream(certificateAuthority)
  const request = async <T>(
    path: string,
    shape: z.ZodType<T>,
    options: FetchRequest = {},
    maxBodyBytes?: number,
  ): Promise<T> => {
    const response = await fetch(`${url}${path}`, options, maxBodyBytes)
    const body: unknown = await response.json().catch(() => undefined)
    if (response.status === 200 || response.status === 201) {
      const parsed = shape.safeParse(body)
      if (parsed.success) return parsed.data
      const [issue] = parsed.error.issues
      throw unexpected(url, `${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
    }
    throw refusal(path, response.status, body)
  }
  const refusal = (path: string, code: number, body: unknown): ClientError => {
    const message = status.safeParse(body).data?.message
    if (message === undefined) return unexpected(url, `${path}: HTTP ${code}`)
    return code === 401
      ? new ClientError('NotSignedIn', `${url} does not take your login: ${message}`)
      : new ClientError('Refused', `${url} answered ${code}: ${message}`)
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
    listSessions: (idToken) =>
      request(`${GROUP}/sessions`, sessionList, { headers: bearer(idToken) }, MAX_SESSIONS_BYTES),
    getSession: (idToken, id) => request(sessionPath(id), session, { headers: bearer(idToken) }),
    endSession: async (idToken, id, reason) => {
      const query = reason === '' ? '' : `?reason=${encodeURIComponent(reason)}`
      await request(`${sessionPath(id)}${query}`, success, { method: 'DELETE', headers: bearer(idToken) })
    },
    followSession: async (idToken, id, signal) => {
      const incoming = await openCast(`${sessionPath(id)}/follow`, idToken, signal)
      incoming.socket.setKeepAlive(true, KEEP_ALIVE_MS)
      return readableOf(incoming)
    },
    listLogins: async (idToken) => {
      const logins: PortalLogin[] = []
      let token: string | undefined
      do {
        const path = `${GROUP}/logins${token === undefined ? '' : `?continue=${encodeURIComponent(token)}`}`
        const list = await request(path, loginList, { headers: bearer(idToken) }, MAX_LOGINS_BYTES)
        logins.push(...list.items)
        token = list.metadata.continue
      } while (token !== undefined && token !== '')
      return logins
    },
    getLogin: (idToken, id) => request(loginPath(id), loginShape, { headers: bearer(idToken) }),
    revokeLogin: async (idToken, id, reason) => {
      const query = reason === '' ? '' : `?reason=${encodeURIComponent(reason)}`
      await request(`${loginPath(id)}${query}`, success, { method: 'DELETE', headers: bearer(idToken) })
    },
    listRecordings: async function* (idToken) {
      let token: string | undefined
      do {
        const page = token === undefined ? '' : `?continue=${encodeURIComponent(token)}`
        const path = `/apis/postern.dev/v1alpha1/recordings${page}`
        const list = await request(path, recordingList, { headers: bearer(idToken) }, MAX_RECORDINGS_BYTES)
        yield list.items
        token = list.metadata.continue
      } while (token !== undefined && token !== '')
    },
    getRecording: (idToken, id) =>
      request(recordingPath(id), recording, { headers: bearer(idToken) }, MAX_RECORDINGS_BYTES),
    readCast: async (idToken, id) => {
      const incoming = await openCast(`${recordingPath(id)}/cast`, idToken)
      incoming.setTimeout(IDLE_TIMEOUT_MS, () => incoming.destroy(new Error('no answer in time')))
      return readableOf(incoming)
    },
  }

  async function openCast(path: string, idToken: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const incoming = await open(`${url}${path}`, {
      headers: { ...bearer(idToken), accept: 'application/x-asciicast, application/json' },
      ...(signal !== undefined && { signal }),
    })
    if (incoming.statusCode === 200) return incoming
    throw refusal(path, incoming.statusCode ?? 0, await beginningOf(incoming))
  }

  function readableOf(incoming: Readable): Readable {
    return Readable.from(explained(new URL(url), incoming), { objectMode: false })
  }
}

const GROUP = '/apis/postern.dev/v1alpha1'

function sessionPath(id: string): string {
  return `${GROUP}/sessions/${encodeURIComponent(id)}`
}

function loginPath(id: string): string {
  return `${GROUP}/logins/${encodeURIComponent(id)}`
}

function recordingPath(id: string): string {
  return `/apis/postern.dev/v1alpha1/recordings/${encodeURIComponent(id)}`
}

async function* explained(url: URL, incoming: Readable): AsyncGenerator<Buffer> {
  try {
    yield* incoming as AsyncIterable<Buffer>
  } catch (error) {
    throw error instanceof Error ? explainNetworkError(url, error) : error
  }
}

/** The Status of a refusal; undefined when it is none. */
async function beginningOf(incoming: Readable): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_STATUS_BYTES) return undefined
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    return undefined
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
