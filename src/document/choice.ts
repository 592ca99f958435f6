import { z } from 'zod'
import { oneOf } from './wording.ts'

/** An object with exactly one of the keys of `Branches`. */
export type Choice<Branches> = {
  [Key in keyof Branches]: { readonly [Only in Key]: Branches[Only] } & {
    readonly [Other in Exclude<keyof Branches, Key>]?: never
  }
}[keyof Branches]

type Outputs<Shape extends z.ZodRawShape> = { [Key in keyof Shape]: z.output<Shape[Key]> }
type Inputs<Shape extends z.ZodRawShape> = { [Key in keyof Shape]: z.input<Shape[Key]> }

/**
 * An object whose one key says what it is, such as `{ kubeconfig: … }` or `{ server: … }`.
 *
 * Unlike a union it reports the mistakes within the branch that was written, and no other's.
 */
export function choice<Shape extends Readonly<Record<string, z.ZodType>>>(
  branches: Shape,
): z.ZodType<Choice<Outputs<Shape>>, Choice<Inputs<Shape>>> {
  const names = Object.keys(branches)
  const optional = Object.fromEntries(Object.entries(branches).map(([name, branch]) => [name, z.exactOptional(branch)]))
  const expected = names.length === 1 ? (names[0] ?? '') : `exactly ${oneOf(names)}`
  const chosen = z
    .strictObject(optional, {
      error: (issue) => (issue.code === 'invalid_type' ? `an object with ${expected}` : undefined),
    })
    .superRefine((value, context) => {
      const written = Object.keys(value)
      // An object with nothing but unknown keys is reported for those.
      if (written.length === 1 || (written.length === 0 && context.issues.length > 0)) return
      const message = written.length === 0 ? 'is an empty object' : `has ${written.join(' and ')}`
      context.addIssue({ code: 'custom', message, params: { expected } })
    })
    .meta({ minProperties: 1, maxProperties: 1 })
  // One key is there, and it was checked by the branch of that name.
  return chosen as unknown as z.ZodType<Choice<Outputs<Shape>>, Choice<Inputs<Shape>>>
}
