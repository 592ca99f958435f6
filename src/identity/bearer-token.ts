import { type RawHeaders, headerValues } from '../kube/raw-headers.ts'
import { machineRefusal, refusal } from './refusal.ts'

/** Longest token that is looked at unless told, in characters: it has room for a thousand groups with names of 40. */
export const MAX_TOKEN_LENGTH = 60 * 1024

/** How client-go and browsers put a token into a WebSocket handshake. */
const SUBPROTOCOL_TOKEN = 'base64url.bearer.authorization.k8s.io.'
const BEARER = 'bearer '
const AUTHORIZATION = 'authorization'
const SUBPROTOCOL = 'sec-websocket-protocol'

/** Whether a request has a token, of whatever kind, wherever one may be. */
export function hasToken(headers: RawHeaders): boolean {
  return (
    headerValues(headers, AUTHORIZATION).length > 0 ||
    headerValues(headers, SUBPROTOCOL).some((value) => value.toLowerCase().includes(SUBPROTOCOL_TOKEN))
  )
}

/**
 * Finds the one bearer token of a request. The token is bounded, but nothing else is known of it.
 *
 * @param maxLength the longest that is looked at, in characters.
 * @throws StatusError 401 when there is no credential, more than one, or one of another kind: a second
 * `Authorization` line, another scheme, a token in the WebSocket subprotocol.
 * @see RFC 6750 section 2.1; k8s.io/apiserver `pkg/authentication/request/websocket/protocol.go`
 */
export function bearerToken(headers: RawHeaders, maxLength = MAX_TOKEN_LENGTH): string {
  let credential: string | undefined
  let subprotocolToken = false
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) {
      if (credential !== undefined) throw refusal('the request has more than one Authorization header')
      credential = value
    } else if (name.length === SUBPROTOCOL.length && name.toLowerCase() === SUBPROTOCOL) {
      subprotocolToken ||= value.toLowerCase().includes(SUBPROTOCOL_TOKEN)
    }
  }
  if (subprotocolToken) {
    throw refusal(
      credential === undefined
        ? 'a token in the WebSocket subprotocol is not accepted, only one in the Authorization header'
        : 'the request has a token in the Authorization header and another in the WebSocket subprotocol',
    )
  }
  if (credential === undefined) throw refusal('the request has no credential')
  if (credential.slice(0, BEARER.length).toLowerCase() !== BEARER) {
    throw refusal('the Authorization header is not of the form "Bearer TOKEN"')
  }
  const token = credential.slice(BEARER.length).trimStart()
  if (token === '') throw refusal('the request has an empty token')
  // To sign in again would make another as long.
  if (token.length > maxLength)
    throw machineRefusal(`the token is longer than ${maxLength} characters, as one with very many groups may be`)
  return token
}
