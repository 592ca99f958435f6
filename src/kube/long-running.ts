import type { RequestInfo } from './request-info.ts'

const LONG_RUNNING_SUBRESOURCES: ReadonlySet<string> = new Set(['attach', 'exec', 'proxy', 'log', 'portforward'])

/**
 * Whether kube-apiserver sets no deadline for a request: watches, streams and profiles.
 *
 * @see k8s.io/apiserver `pkg/server/filters/longrunning.go`, with the sets of kube-apiserver (v0.36)
 */
export function isLongRunning(info: RequestInfo): boolean {
  if (info.isResourceRequest) return info.verb === 'watch' || LONG_RUNNING_SUBRESOURCES.has(info.subresource)
  return info.path.startsWith('/debug/pprof/')
}
