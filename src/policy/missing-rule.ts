import type { RequestInfo } from '../kube/request-info.ts'

/**
 * The rule that would allow a request, ready to paste into a policy:
 * `{ verbs: [get], resources: [secrets], namespaces: [default] }`. Empty when no rule could, for want of a verb, and when
 * a word of the request is too long to repeat or would grant more in a rule than was asked. Printable whatever was asked.
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

/** Longer words are no names that Kubernetes knows, in UTF-16 units. */
const MAX_WORD_LENGTH = 253

/** What stands for other words in a rule: a glob, and a template. */
const MEANS_MORE = /\*|\{\{/

/** Lists of one entry, those without left out. */
function render(entries: Readonly<Record<string, string>>): string {
  if (Object.values(entries).some((value) => value.length > MAX_WORD_LENGTH || MEANS_MORE.test(value))) return ''
  const lists = Object.entries(entries)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}: [${yamlWord(value)}]`)
  return `{ ${lists.join(', ')} }`
}

/** What YAML reads as something other than text, and other words that look like it. */
const NOT_TEXT = /^(?:true|false|null|yes|no|on|off|[yn])$/

function yamlWord(value: string): string {
  if (/^[a-z/][a-z0-9./-]*$/.test(value) && !NOT_TEXT.test(value)) return value
  return JSON.stringify(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\U${code.padStart(8, '0')}`
  })
}
