import type { ObjectFormat } from './object-format.ts'

/** Version of our own group. */
export const API_VERSION = 'postern.dev/v1alpha1'

/** An object of our own group. */
interface ApiObject {
  readonly apiVersion: typeof API_VERSION
  readonly kind: string
  readonly metadata: { readonly name: string; readonly creationTimestamp?: string }
  readonly spec: unknown
  readonly status: unknown
}

interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean'
  readonly format: '' | 'name'
  readonly description: string
  /** Columns above 0 are shown by `-o wide` only. */
  readonly priority: number
}

/** How objects of one kind are shown. */
export interface ObjectKind<T> {
  readonly kind: string
  readonly columns: readonly Column[]
  /** One for each column. */
  cells(one: T): readonly (string | number | boolean)[]
  toObject(one: T): ApiObject
}

/** The object, or the one-row Table that kubectl prints. */
export function renderObject<T>(kind: ObjectKind<T>, one: T, format: ObjectFormat): unknown {
  return format.as === 'object' ? kind.toObject(one) : toTable(kind, [one], format, {})
}

/** A list of the objects, or the Table that kubectl prints. `rest` is the token for what follows; empty at the end. */
export function renderObjectList<T>(kind: ObjectKind<T>, many: readonly T[], format: ObjectFormat, rest = ''): unknown {
  const metadata = rest === '' ? {} : { continue: rest }
  if (format.as === 'table') return toTable(kind, many, format, metadata)
  return { apiVersion: API_VERSION, kind: `${kind.kind}List`, metadata, items: many.map((one) => kind.toObject(one)) }
}

/** A column that is always shown. */
export function column(name: string, description: string, overrides: Partial<Column> = {}): Column {
  return { name, type: 'string', format: '', description, priority: 0, ...overrides }
}

/** RFC 3339 to the second, as `metav1.Time` is written. */
export function renderTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -'.000Z'.length)}Z`
}

/** @see k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, Table */
function toTable<T>(
  kind: ObjectKind<T>,
  many: readonly T[],
  { apiVersion, includeObject }: ObjectFormat & { as: 'table' },
  metadata: unknown,
): unknown {
  const show = (one: T): unknown => {
    if (includeObject === 'None') return null
    const object = kind.toObject(one)
    return includeObject === 'Object'
      ? object
      : { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata }
  }
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: kind.columns,
    rows: many.map((one) => ({ cells: kind.cells(one), object: show(one) })),
  }
}
