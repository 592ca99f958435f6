import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/**
 * Makes the storage of one identity provider: codes, sessions, grants and refresh tokens, in memory.
 *
 * Expired entries go when they are met or when anything is written, so a demo that runs for days stays small.
 */
export function createStorage(): AdapterFactory {
  const entries = new Map<string, { readonly payload: AdapterPayload; readonly expiresAtMs: number }>()

  const read = (key: string): AdapterPayload | undefined => {
    const entry = entries.get(key)
    if (entry === undefined || entry.expiresAtMs > Date.now()) return entry?.payload
    entries.delete(key)
    return undefined
  }
  const sweep = (): void => {
    for (const key of [...entries.keys()]) read(key)
  }

  return (model): Adapter => {
    const prefix = `${model}:`
    const key = (id: string): string => prefix + id
    const findBy = (property: 'uid' | 'userCode', value: string): AdapterPayload | undefined => {
      const found = entries
        .entries()
        .find(([name, { payload }]) => name.startsWith(prefix) && payload[property] === value)
      return found === undefined ? undefined : read(found[0])
    }
    return {
      upsert(id, payload, expiresIn) {
        sweep()
        entries.set(key(id), { payload, expiresAtMs: Date.now() + (expiresIn ?? Infinity) * 1000 })
        return Promise.resolve()
      },
      find: (id) => Promise.resolve(read(key(id))),
      findByUid: (uid) => Promise.resolve(findBy('uid', uid)),
      findByUserCode: (userCode) => Promise.resolve(findBy('userCode', userCode)),
      consume(id) {
        const payload = read(key(id))
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
        return Promise.resolve()
      },
      destroy(id) {
        entries.delete(key(id))
        return Promise.resolve()
      },
      revokeByGrantId(grantId) {
        for (const [name, { payload }] of entries) {
          if (payload.grantId === grantId && name.startsWith(prefix)) entries.delete(name)
        }
        return Promise.resolve()
      },
    }
  }
}
