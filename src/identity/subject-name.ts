/** Most groups of one subject, and most values of one extra key. */
export const MAX_GROUPS = 1000

/** Longest username, group, uid or extra value, in UTF-16 units. */
const MAX_NAME_LENGTH = 512

/**
 * Names that mean something to Kubernetes whoever bears them: `system:masters` passes every check, and kubeadm binds
 * `kubeadm:cluster-admins` to cluster-admin. Kubernetes compares them case by case; we refuse every case.
 *
 * @see k8s.io/apiserver `pkg/authentication/user/user.go`; kubernetes `cmd/kubeadm/app/constants/constants.go`
 */
const RESERVED = /^\s*(?:system|kubeadm):/i

/**
 * Controls, line and paragraph separators, halves of surrogate pairs, the mark of a lost byte; and invisible format
 * characters (bidirectional controls among them) but for the two joiners that some scripts need.
 */
const UNFIT = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u{FFFD}]|(?![\u200C\u200D])\p{Cf}/u

/** Why a value cannot be (part of) a subject, as the end of a sentence; undefined when it can. */
export function flawOfName(name: string): string | undefined {
  if (name.trim() === '') return 'is empty'
  if (name.length > MAX_NAME_LENGTH) return `is longer than ${MAX_NAME_LENGTH} characters`
  if (name !== name.trim()) return 'begins or ends with a space'
  if (UNFIT.test(name)) return 'has characters that a name cannot have'
  return undefined
}

/** True for names that Kubernetes itself gives a meaning; no claim may become one. */
export function isReservedName(name: string): boolean {
  return RESERVED.test(name)
}

/**
 * Whether machines may be told apart by it: one colon, at the end, so that no such prefix begins another, and none of
 * Kubernetes' own.
 */
export function isMachinePrefix(prefix: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?:$/.test(prefix) && !isReservedName(prefix)
}

/** One `@` with printable ASCII on both sides, so that a rule on the domain cannot be misled. */
export function isPlainEmail(address: string): boolean {
  return /^[!-?A-~]+@[!-?A-~]+$/.test(address)
}
