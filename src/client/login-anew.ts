import { setTimeout as sleep } from 'node:timers/promises'
import { ClientError } from './client-error.ts'
import { login, type LoginRequest, type LoginResult } from './login.ts'
import { whyRevoked } from './revoked-login.ts'

/**
 * An issuer tells when somebody signed in to the second, so that only what is told of the next second is known to come
 * after a revocation of this one.
 */
const NEXT_SECOND_MS = 1_000

export interface LoginAnewRequest extends LoginRequest {
  /** Tells the person why they are asked once more, in a sentence without a full stop. Must not throw. */
  readonly explain: (why: string) => void
}

/**
 * Signs a person in as {@link login} does. Where the issuer lets them in without a question and the gateway does not,
 * since that login was revoked there, they are asked once more, and have to prove anew who they are.
 *
 * @throws ClientError of every kind.
 */
export async function loginAnew(request: LoginAnewRequest): Promise<LoginResult> {
  try {
    return await login(request)
  } catch (error) {
    if (!isRevokedLogin(error)) throw error
    if (request.prompt === 'login') throw notNewer(error)
    // A code for another device cannot ask for it.
    if (request.flow === 'device') throw error
    request.explain(sentenceOf(error))
  }
  await sleep(NEXT_SECOND_MS)
  try {
    return await login({ ...request, prompt: 'login' })
  } catch (error) {
    throw isRevokedLogin(error) ? notNewer(error) : error
  }
}

function isRevokedLogin(error: unknown): error is ClientError {
  return error instanceof ClientError && error.code === 'LoginRevoked'
}

/** Nothing that the person could do at once: the issuer's clock is behind, or it does not say when people sign in. */
function notNewer(error: ClientError): ClientError {
  return new ClientError(
    'Refused',
    `${sentenceOf(error)}, and the identity provider shows no sign-in that is newer; sign in again in a minute, or ask whoever runs it`,
    { cause: error },
  )
}

/** What the gateway itself said. */
function sentenceOf({ cause, message }: ClientError): string {
  return cause instanceof ClientError ? whyRevoked(cause) : message
}
