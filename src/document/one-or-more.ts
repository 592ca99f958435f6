import { z } from 'zod'

/** At least one. */
export type Several<T> = readonly [T, ...T[]]

/** A thing, or a list of such things that is not empty. Gives a list. */
export function oneOrMore<Schema extends z.ZodType>(
  schema: Schema,
): z.ZodType<Several<z.output<Schema>>, z.input<Schema> | z.input<Schema>[]> {
  // Neither branch lets an empty list pass.
  return z
    .union([schema, z.array(schema).min(1)])
    .transform((written) => [written].flat() as unknown as Several<z.output<Schema>>)
}
