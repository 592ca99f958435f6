import type { RequestInfo } from '../kube/request-info.ts'

/**
 * The rule that would allow a request, ready to paste into a policy:
 * `{ verbs: [get], resources: [secrets], namespaces: [default] }`. Empty when no rule could, for want of a verb.
 */
export function missingRule(requestInfo: RequestInfo): string {
  const { verb, apiGroup, resource, subresource, namespace, path } = requestInfo
  if (verb === '') return ''
  if (!requestInfo.isResourceRequest) return render({ verbs: verb, nonResourceURLs: path })
  return render({
    verbs: verb,
    apiGroups: apiGroup,
    resources: subresource === '' ? resource : `${resource}/${subresource}`,
    namespaces: namespace,
  })
}

/** Lists of one entry, those without left out. */
function render(entries: Readonly<Record<string, string>>): string {
  const lists = Object.entries(entries)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}: [${yamlWord(value)}]`)
  return `{ ${lists.join(', ')} }`
}

/** What YAML reads as something other than text, and other words that look like it. */
const NOT_TEXT = /^(?:true|false|null|yes|no|on|off|[yn])$/

function yamlWord(value: string): string {
  return /^[a-z/][a-z0-9./-]*$/.test(value) && !NOT_TEXT.test(value) ? value : JSON.stringify(value)
}
