import { firstValue, parseQuery } from '../kube/query.ts'
import { headerMembers, type RawHeaders } from '../kube/raw-headers.ts'
import { badRequest, methodNotAllowed } from '../kube/status.ts'

/** In what form an object or a list of them is wanted. */
export type ObjectFormat =
  | { readonly as: 'object' }
  | {
      readonly as: 'table'
      /** Of the Table, such as `meta.k8s.io/v1`. */
      readonly apiVersion: string
      readonly includeObject: 'None' | 'Metadata' | 'Object'
    }

/** What a list could be narrowed by; to ignore one would show more than was asked for. */
const SELECTORS = ['fieldSelector', 'labelSelector']

/**
 * Reads from Accept and the query what a get or list of our own objects is to look like. The first form in Accept that
 * we have counts; without any it is the object itself. `resource` is the plural, for people.
 *
 * @throws StatusError 400 for selectors, 405 for a watch.
 * @see k8s.io/apiserver `pkg/endpoints/handlers/negotiation/negotiate.go`
 */
export function parseObjectFormat(resource: string, target: string, headers: RawHeaders): ObjectFormat {
  const { query } = parseQuery(target.slice((target + '?').indexOf('?') + 1))
  if (['', '1', 'true'].includes(firstValue(query, 'watch') ?? 'false'))
    throw methodNotAllowed(`${resource} cannot be watched`)
  const selector = SELECTORS.find((name) => (firstValue(query, name) ?? '') !== '')
  if (selector !== undefined) throw badRequest(`${resource} cannot be selected by ${selector}`)

  const apiVersion = headerMembers(headers, 'accept')
    .map(tableVersion)
    .find((version) => version !== undefined)
  if (apiVersion === undefined || apiVersion === '') return { as: 'object' }
  const includeObject = firstValue(query, 'includeObject') ?? ''
  if (includeObject === 'None' || includeObject === 'Object') return { as: 'table', apiVersion, includeObject }
  return { as: 'table', apiVersion, includeObject: 'Metadata' }
}

/** The version of a Table, empty for the plain object, undefined for forms that we do not have. */
function tableVersion(mediaRange: string): string | undefined {
  const [type, ...pairs] = mediaRange.split(';').map((part) => part.trim())
  if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') return undefined
  const parameters = new Map(
    pairs.map((pair): [string, string] => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']),
  )
  const as = parameters.get('as')
  if (as === undefined) return ''
  const version = parameters.get('v') ?? ''
  const known = as === 'Table' && parameters.get('g') === 'meta.k8s.io' && ['v1', 'v1beta1'].includes(version)
  return known ? `meta.k8s.io/${version}` : undefined
}
