import { StatusError, failure } from '../kube/status.ts'

/** How many sessions each subject has open by each rule. Entries go when their last session does. */
export class SessionSlots {
  readonly #taken = new Map<string, number>()

  /**
   * Takes a place, and returns the function that gives it back; calling that again does nothing.
   *
   * @throws StatusError 429 when every place is taken.
   */
  take(username: string, rule: string, places: number): () => void {
    const key = `${rule}\n${username}`
    const taken = this.#taken.get(key) ?? 0
    if (taken >= places) {
      const sessions = places === 1 ? '1 session' : `${places} sessions`
      throw new StatusError(
        failure(429, 'TooManyRequests', `you have ${sessions} open, as many as rule ${rule} allows; end one first`),
      )
    }
    this.#taken.set(key, taken + 1)
    let given = false
    return () => {
      if (given) return
      given = true
      const left = (this.#taken.get(key) ?? 1) - 1
      if (left === 0) this.#taken.delete(key)
      else this.#taken.set(key, left)
    }
  }
}
