import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const MODULE = fileURLToPath(new URL('home-directory.ts', import.meta.url))
/** In no list of users. */
const NOBODY_KNOWN = 54_321

async function homeOf(env: NodeJS.ProcessEnv, uid?: number): Promise<string> {
  const script = `const { homeDirectory } = await import(${JSON.stringify(MODULE)})
    if (process.argv[1] !== '') process.setuid(Number(process.argv[1]))
    process.stdout.write(homeDirectory())`
  const argv = ['--input-type=module', '--eval', script, uid === undefined ? '' : String(uid)]
  return (await promisify(execFile)(process.execPath, argv, { env, encoding: 'utf8' })).stdout
}

describe('the home directory', () => {
  it('is what HOME says', async () => {
    expect(await homeOf({ HOME: '/home/ana' })).toBe('/home/ana')
  })

  it('is the root directory where HOME is empty', async () => {
    expect(await homeOf({ HOME: '' })).toBe('/')
  })

  it.skipIf(process.getuid?.() !== 0)('is the root directory for a user whom the system does not know', async () => {
    expect(await homeOf({}, NOBODY_KNOWN)).toBe('/')
  })
})
