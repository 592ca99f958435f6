/** Whether an error is the operating system's, and not of the one recording it came up with. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
}

/** Whether a system error says that there is no room, for this file as for any other. */
export function isDiskFull(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENOSPC' || error.code === 'EDQUOT'
}

/** What kept a recording from being kept, as one phrase without the paths that the operating system's errors name. */
export function failurePhrase(error: unknown): string {
  switch (isSystemError(error) ? error.code : '') {
    case 'ENOSPC':
      return 'the disk is full'
    case 'EDQUOT':
      return 'the disk quota is used up'
    case 'EFBIG':
      return 'the file is larger than may be'
    case 'EIO':
      return 'the disk fails'
    case 'EROFS':
      return 'the disk is read-only'
    case 'ENOENT':
      return 'its directory is gone'
    case 'EEXIST':
      return 'there is one of that id already'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case '':
      return error instanceof Error ? error.message : String(error)
    default:
      return isSystemError(error) ? error.code : 'unknown'
  }
}

export function cannotBeKept(cause: unknown): Error {
  return new Error(`the recording cannot be kept: ${failurePhrase(cause)}`, { cause })
}
