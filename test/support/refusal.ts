import { expect } from 'vitest'
import type { Authenticator } from '../../src/identity/authenticator.ts'
import type { RawHeaders } from '../../src/kube/raw-headers.ts'
import { StatusError, type Status } from '../../src/kube/status.ts'
import { bearer } from './staged-issuer.ts'

/**
 * How an authenticator refuses a token (or whole headers). Fails the test when it does not, when the refusal is no
 * Status, and when the client would be told a part of the token.
 */
export async function refusalOf(authenticator: Authenticator, credential: string | RawHeaders): Promise<Status> {
  const headers = typeof credential === 'string' ? bearer(credential) : credential
  let refusal: unknown
  try {
    const authentication = await authenticator.authenticate(headers)
    expect.fail(`accepted as ${authentication.subject.username}`)
  } catch (error) {
    refusal = error
  }
  if (!(refusal instanceof StatusError)) throw refusal
  const told = JSON.stringify([refusal.status, refusal.message, refusal.detail])
  for (const part of headers.join('.').split('.')) if (part.length > 40) expect(told).not.toContain(part)
  return refusal.status
}

/** A 401 that says this and how to sign in. */
export function unauthorized(sentence: string): unknown {
  const literally = sentence.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: expect.stringMatching(new RegExp(`${literally}.*; sign in with "postern client login"$`)) as unknown,
    reason: 'Unauthorized',
    code: 401,
  }
}
