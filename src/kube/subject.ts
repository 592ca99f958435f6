/**
 * The authenticated caller, in the shape of Kubernetes' `user.Info`.
 *
 * @see k8s.io/apiserver `pkg/authentication/user/user.go`
 */
export interface Subject {
  /** Never empty, and never a reserved name (`system:…`) unless an operator configured exactly that. */
  readonly username: string
  /** Empty when the issuer gives none. */
  readonly uid: string
  readonly groups: readonly string[]
  /** Null-prototype record; keys are lower-case. */
  readonly extra: Readonly<Record<string, readonly string[]>>
}
