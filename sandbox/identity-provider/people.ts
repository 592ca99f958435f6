/** Somebody who can sign in at the sandbox identity provider. */
export interface Person {
  /** What they type into the form, and their `email` claim. */
  readonly login: string
  readonly password: string
  /** The `sub` claim. */
  readonly subject: string
  /** The `name` claim. */
  readonly name: string
  /** The `groups` claim; the claim is left out when empty. */
  readonly groups: readonly string[]
  readonly emailVerified: boolean
}

/** The people of the demo and the tests. Their passwords are public, since nothing real is behind them. */
export const people = {
  ana: person('ana', 'Ana Almeida', ['payments-dev', 'everyone']),
  omar: person('omar', 'Omar Osei', ['viewers', 'everyone']),
  mallory: person('mallory', 'Mallory Moss', []),
  admin: person('admin', 'Ada Achebe', ['platform-admins', 'everyone']),
} as const satisfies Record<string, Person>

function person(name: string, fullName: string, groups: readonly string[]): Person {
  return {
    login: `${name}@example.com`,
    password: `${name}-sandbox`,
    subject: `person-${name}`,
    name: fullName,
    groups,
    emailVerified: true,
  }
}
