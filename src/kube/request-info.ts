/**
 * What a request asks of the API, by kube-apiserver's own rules.
 *
 * @see k8s.io/apiserver `pkg/endpoints/request/requestinfo.go` (v0.36)
 */
export interface RequestInfo {
  readonly isResourceRequest: boolean
  /** The decoded path, without query. */
  readonly path: string
  /** `get list watch create update patch delete deletecollection`, or the lower-case method of a non-resource request; may be empty. */
  readonly verb: string
  readonly apiPrefix: string
  /** Empty for the core group. */
  readonly apiGroup: string
  readonly apiVersion: string
  readonly namespace: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  readonly parts: readonly string[]
  readonly fieldSelector: string
  readonly labelSelector: string
}
