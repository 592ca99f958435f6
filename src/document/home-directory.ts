/**
 * The home directory of who runs this process: `$HOME`, else the one that the system knows. The root directory for
 * somebody without either, as in a container with a user ID of its own; Docker sets the same.
 */
export function homeDirectory(): string {
  try {
    return process.getBuiltinModule('node:os').homedir() || '/'
  } catch {
    return '/'
  }
}
