/** A person as a source knows them, and how to ask for their groups. */
export interface GroupsQuestion {
  /** Of this person alone, at this issuer. */
  readonly person: string
  /** @throws Error for the operator; `AnswerError` when the source refuses. */
  readonly ask: (signal: AbortSignal) => Promise<readonly string[]>
}
