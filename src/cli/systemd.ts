import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ClientError } from '../client/client-error.ts'

const TIMEOUT_MS = 120_000

type Variables = Readonly<Record<string, string | undefined>>

/** systemd, of this machine or of a directory tree that is to become one. */
export class Systemd {
  readonly #root: string

  private constructor(root: string) {
    this.#root = root
  }

  /**
   * @param root `/`, or the directory of another system, in which nothing runs.
   * @throws ClientError when systemd does not run this machine, or its commands are missing.
   */
  static async open(root: string): Promise<Systemd> {
    if (process.platform !== 'linux') throw noSystemd(`this is ${process.platform}`)
    const systemd = new Systemd(root)
    if (systemd.live && !(await Systemd.runsHere()))
      throw noSystemd('systemd does not run this machine, as in most containers')
    return systemd
  }

  /** Whether systemd runs this machine. @see sd_booted(3) */
  static runsHere(): Promise<boolean> {
    return exists('/run/systemd/system')
  }

  /** Whether there is something to start and stop. */
  get live(): boolean {
    return this.#root === '/'
  }

  /** Where a path of that system is on this one. */
  path(path: string): string {
    return join(this.#root, path)
  }

  /**
   * What systemctl prints.
   *
   * @throws ClientError with what it says when it fails.
   */
  control(...argv: readonly string[]): Promise<string> {
    return this.#run('systemctl', [...(this.live ? [] : [`--root=${this.#root}`]), '--no-pager', ...argv])
  }

  /** Makes the users that a file of sysusers.d asks for, by its name there. */
  makeUsers(file: string): Promise<string> {
    return this.#run('systemd-sysusers', [...(this.live ? [] : [`--root=${this.#root}`]), file])
  }

  /**
   * What a command prints as another user of this machine, with these variables and no others, whatever its exit code.
   *
   * @throws ClientError when it prints nothing, with what it says instead.
   */
  async outputAs(user: string, argv: readonly string[], environment: Variables): Promise<string> {
    const command = ['-u', user, '--', ...argv]
    try {
      return await this.#run('runuser', command, environment)
    } catch (error) {
      const { stdout } = (error as { readonly cause?: { readonly stdout?: string } }).cause ?? {}
      if (stdout === undefined || stdout === '') throw error
      return stdout
    }
  }

  /** Makes a directory of this machine that only the user can look into. */
  makeDirectory(path: string, user: string): Promise<string> {
    return this.#run('install', ['--directory', `--owner=${user}`, `--group=${user}`, '--mode=0700', '--', path])
  }

  async #run(command: string, argv: readonly string[], env: Variables = process.env): Promise<string> {
    try {
      const { stdout } = await promisify(execFile)(command, argv, { timeout: TIMEOUT_MS, encoding: 'utf8', env })
      return stdout
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string }
      if (code === 'ENOENT') throw noSystemd(`there is no ${command}`, error)
      const said = (stderr ?? '').trim().replaceAll(/\s*\n\s*/g, '; ')
      throw new ClientError('Unexpected', `${command} ${argv.join(' ')} failed: ${said}`, { cause: error })
    }
  }
}

function noSystemd(why: string, cause?: unknown): ClientError {
  const instead = 'start it as `postern connector start --config FILE` under what runs services here'
  return new ClientError('Unexpected', `there is no systemd: ${why}; ${instead}`, { cause })
}

/** Whether there is something of that name. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
