import { realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * How kubectl can run this very program: `postern` when that is what a shell would find under the name, else Node and
 * the script by their paths. `script` is what Node runs, `process.argv[1]`.
 */
export function ownCommand(script: string, env: NodeJS.ProcessEnv): readonly [string, ...string[]] {
  const own = realPath(script) ?? script
  const found = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => realPath(join(directory, 'postern')))
    .find((path) => path !== null)
  return found === own ? ['postern'] : [process.execPath, own]
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}
