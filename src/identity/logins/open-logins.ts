import { Logins } from './logins.ts'
import { LoginWriter } from './login-writer.ts'

/** The logins of a connector, and what writes them down. */
export interface OpenedLogins {
  readonly logins: Logins
  /** False while what changed cannot be written down. */
  readonly writable: boolean
  /** Writes down what is left. @throws when it cannot. */
  close(): Promise<void>
}

/**
 * Opens the logins that a directory keeps; null keeps them in memory alone. The caller closes them.
 *
 * @param onProblem told once for each streak of failures to write.
 * @throws LoginFileError when what is kept cannot be read: then nobody may come in.
 */
export async function openLogins(directory: string | null, onProblem: (error: unknown) => void): Promise<OpenedLogins> {
  if (directory === null) return { logins: new Logins(), writable: true, close: () => Promise.resolve() }
  // With it comes SQLite.
  const { LoginFile } = await import('./login-file.ts')
  const { file, kept } = LoginFile.open(directory)
  const journal = new LoginWriter(file, { onProblem })
  return {
    logins: new Logins({ kept, journal }),
    get writable() {
      return journal.writable
    },
    close: () => journal.close(),
  }
}
