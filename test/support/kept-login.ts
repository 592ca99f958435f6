import { existsSync, readdirSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { portalDirectory, readLogin, type CachedLogin, type Login } from '../../src/client/login-cache.ts'
import { saveLogin } from '../../src/client/login-cache-writer.ts'
import type { Laptop } from './postern-command.ts'

/** The only login that a laptop keeps for a portal. */
export function keptLogin({ cacheDirectory }: Laptop, portal: string): CachedLogin {
  const directory = portalDirectory(cacheDirectory, portal)
  const name = readdirSync(directory).find((file) => file.endsWith('.json')) ?? 'none'
  const login = readLogin(join(directory, name))
  if (login === null) throw new Error('there is no login')
  return login
}

/** Changes that login, as time does, or somebody who has it in an editor. */
export function changeLogin(laptop: Laptop, portal: string, changes: Partial<Login>): void {
  const { path, login } = keptLogin(laptop, portal)
  saveLogin({ path, login: { ...login, ...changes } })
}

/** A screen for a laptop, on which nothing comes up: what would is written down. */
export function giveBrowser({ home }: Laptop): { readonly env: NodeJS.ProcessEnv; opened(): readonly string[] } {
  const file = join(home, 'opened')
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'bin', 'xdg-open'), `#!/bin/sh\necho "$1" >> '${file}'\n`, { mode: 0o755 })
  return {
    env: { DISPLAY: ':0' },
    opened: () => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []),
  }
}
