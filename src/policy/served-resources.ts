/** What a cluster serves. */
export interface ServedResources {
  readonly groups: ReadonlySet<string>
  /** Plurals, each also with its subresources. */
  readonly names: readonly string[]
  /** Whether an entry of a rule names something that is served in any of the groups; undefined means any. */
  has(entry: string, apiGroups: readonly string[] | undefined): boolean
}

/**
 * Reads what a cluster says of itself: an APIGroupDiscoveryList (`/api` and `/apis`, aggregated), an APIResourceList
 * (`/api/v1`, `/apis/apps/v1`, `kubectl api-resources -o json`), or a list of any of these. Subresources count only where
 * one is named: kubectl leaves them out.
 *
 * @throws TypeError for anything else.
 * @see k8s.io/api `apidiscovery/v2/types.go`; k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, APIResourceList (v0.36)
 */
export function readServedResources(value: unknown): ServedResources {
  const entries = entriesOf(value)
  if (entries.length === 0) throw new TypeError('no resources are in it; it has to be discovery in JSON')
  const groups = new Set(entries.map(({ group }) => group))
  const byName = Map.groupBy(entries, ({ name }) => name)
  const knowsSubresources = entries.some(({ name }) => name.includes('/'))

  function has(entry: string, apiGroups: readonly string[] | undefined): boolean {
    const [resource = '', subresource] = entry.split('/')
    if (resource === '*' && (subresource === undefined || subresource === '*')) return true
    const isServed = ({ group }: Entry): boolean => apiGroups?.some((one) => one === '*' || one === group) ?? true
    if (subresource === undefined || !knowsSubresources || subresource === '*') {
      return resource === '*' || (byName.get(resource)?.some(isServed) ?? false)
    }
    if (resource !== '*') return byName.get(entry)?.some(isServed) ?? false
    return entries.some((one) => one.name.endsWith(`/${subresource}`) && isServed(one))
  }

  return { groups, names: [...byName.keys()], has }
}

interface Entry {
  readonly group: string
  readonly name: string
}

function entriesOf(value: unknown): readonly Entry[] {
  if (Array.isArray(value)) return value.flatMap(entriesOf)
  const list = field(value, 'items')
  if (list !== undefined)
    return asList(list).flatMap((item) =>
      field(item, 'versions') === undefined ? entriesOf(item) : groupEntries(item),
    )
  return asList(field(value, 'resources')).map((resource) => ({
    group: text(field(resource, 'group')) || groupOf(text(field(value, 'groupVersion'))),
    name: text(field(resource, 'name')),
  }))
}

/** Of an APIGroupDiscovery. */
function groupEntries(item: unknown): readonly Entry[] {
  const group = text(field(field(item, 'metadata'), 'name'))
  return asList(field(item, 'versions')).flatMap((version) =>
    asList(field(version, 'resources')).flatMap((resource) => {
      const name = text(field(resource, 'resource'))
      const subresources = asList(field(resource, 'subresources')).map((one) => text(field(one, 'subresource')))
      return [{ group, name }, ...subresources.map((subresource) => ({ group, name: `${name}/${subresource}` }))]
    }),
  )
}

function groupOf(groupVersion: string): string {
  return groupVersion.includes('/') ? (groupVersion.split('/')[0] ?? '') : ''
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
