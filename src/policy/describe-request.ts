import type { RequestInfo } from '../kube/request-info.ts'

/** `VERB RESOURCE[.GROUP][/SUBRESOURCE] [NAME] [in NAMESPACE]`, or `VERB PATH`: what a request asks for, for people. */
export function describeRequest(info: RequestInfo): string {
  const verb = info.verb === '' ? '(no verb)' : info.verb
  if (!info.isResourceRequest) return `${verb} ${info.path}`
  const group = info.apiGroup === '' ? '' : `.${info.apiGroup}`
  const subresource = info.subresource === '' ? '' : `/${info.subresource}`
  const name = info.name === '' ? '' : ` ${info.name}`
  const namespace = info.namespace === '' ? '' : ` in ${info.namespace}`
  return `${verb} ${info.resource}${group}${subresource}${name}${namespace}`
}
