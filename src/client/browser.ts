import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** False on a machine without a screen, where a browser could only come up on somebody else's terminal, or nowhere. */
export function hasBrowser(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean {
  if (platform === 'darwin' || platform === 'win32') return true
  return ['DISPLAY', 'WAYLAND_DISPLAY', 'BROWSER', 'WSL_DISTRO_NAME'].some((name) => (env[name] ?? '') !== '')
}

/**
 * Opens an address in the person's browser. Resolves to an empty string, or to why it cannot be opened.
 *
 * The program runs on by itself, without a terminal; its end is not waited for, since some of them stay until the window
 * is closed.
 */
export async function openBrowser(address: string, platform: NodeJS.Platform): Promise<string> {
  const [command, ...args] = opener(platform)
  try {
    const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true })
    child.unref()
    await once(child, 'spawn')
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : command
  }
}

/** No shell is among them: an address may hold what a shell would read. */
function opener(platform: NodeJS.Platform): readonly [string, ...string[]] {
  if (platform === 'darwin') return ['open']
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler']
  return ['xdg-open']
}
