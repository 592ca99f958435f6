import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Resolves when the next second has begun: from then on somebody whose login was ended is let in again, as tokens tell
 * when they were issued by the second.
 */
export async function nextSecond(): Promise<void> {
  await sleep(1_000 - (Date.now() % 1_000))
}
