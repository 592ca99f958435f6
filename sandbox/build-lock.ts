import { open, readFile, rm, stat, utimes } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const beatMs = 2000
const pollMs = 500
/** A lock that nobody has touched for so long is nobody's. */
const staleMs = 30_000

/**
 * What `work` returns, done while holding the lock file at `path`, so that one process does it at a time.
 *
 * A lock whose process is dead, or has not touched it for 30 s, is taken over. Two processes that take over the same
 * lock in the same instant may both work, so `work` must be harmless to do twice.
 *
 * @param onWait is called about once a second while another process holds the lock, with the seconds waited.
 */
export async function withBuildLock<T>(
  path: string,
  work: () => Promise<T>,
  onWait: (elapsedSeconds: number) => void,
): Promise<T> {
  const started = performance.now()
  while (!(await take(path))) {
    if (await isStale(path)) {
      await rm(path, { force: true })
    } else {
      onWait(Math.round((performance.now() - started) / 1000))
      await sleep(pollMs)
    }
  }
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, beatMs)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}

async function take(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(String(process.pid))
    await file.close()
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    const age = Date.now() - (await stat(path)).mtimeMs
    const holder = Number(await readFile(path, 'utf8'))
    return age > staleMs || (holder > 0 && !isAlive(holder))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !isCode(error, 'ESRCH')
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
