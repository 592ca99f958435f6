import { ClientError } from './client-error.ts'
import { randomValue, type Issuer, type SignInPromptValue, type Tokens } from './issuer.ts'
import { listenOnLoopback, type RedirectTarget } from './loopback.ts'
import { isRevoked, whyRevoked } from './revoked-login.ts'

export interface AuthorizationCodeFlow<T> {
  readonly issuer: Issuer
  readonly scopes: readonly string[]
  /** Without a path, this login has one of its own. */
  readonly redirect: Omit<RedirectTarget, 'path'> & { readonly path: string | undefined }
  readonly prompt: SignInPromptValue
  readonly timeoutMs: number
  /** Brings the address before the person. Must not throw. */
  readonly present: (address: string) => void
  /** Runs before the page tells the person that all is well; what it throws is told instead. */
  readonly accept: (tokens: Tokens) => Promise<T>
  /** What the page then says before it sends the person back to the terminal: a sentence. */
  readonly welcome: (accepted: T) => string
}

/**
 * Signs a person in with their browser: authorization code with PKCE on a loopback port. Ends when the page in the
 * browser has told them how it went, with what `accept` gave back.
 *
 * @throws ClientError `PortBlocked`, `LoginTimedOut`, `LoginRefused`, what the issuer's calls throw, and what `accept` throws.
 * @see RFC 8252, RFC 7636, RFC 9207
 */
export async function runAuthorizationCodeFlow<T>(flow: AuthorizationCodeFlow<T>): Promise<T> {
  const state = randomValue()
  const path = flow.redirect.path ?? `/${randomValue()}`
  const listener = await listenOnLoopback({ ...flow.redirect, path }, state)
  try {
    const request = {
      redirectURI: listener.redirectURI,
      scopes: flow.scopes,
      state,
      nonce: randomValue(),
      codeVerifier: randomValue(),
      prompt: flow.prompt,
    }
    flow.present(await flow.issuer.authorizationURL(request))
    const callback = await listener.callback(flow.timeoutMs)
    try {
      const accepted = await flow.accept(await flow.issuer.exchangeCode(callback.url, request))
      const text = `${flow.welcome(accepted)} You can close this window and go back to the terminal.`
      await callback.answer({ status: 200, title: 'You are signed in', text })
      return accepted
    } catch (error) {
      const text = error instanceof ClientError ? error.message : 'The terminal says more.'
      await callback.answer(
        error instanceof ClientError && isRevoked(error) && flow.prompt !== 'login'
          ? {
              status: 200,
              title: 'Once more',
              text: `${whyRevoked(error)}. Prove anew who you are, in the next window.`,
            }
          : { status: 400, title: 'The login failed', text },
      )
      throw error
    }
  } finally {
    listener.close()
  }
}
