/** Bytes of a block of a tar archive: a header is one, content is padded to whole ones. */
export const TAR_BLOCK_BYTES = 512

/** What the header of an entry says. */
export interface TarHeader {
  readonly path: string
  /** One byte of the archive as a character: `0` a file, `5` a directory, `L`, `K`, `x` and `g` what extends headers. */
  readonly typeFlag: string
  /** Bytes of content. */
  readonly byteLength: number
}

/** What the extended header of an entry overrides; null what it does not. */
export interface TarOverrides {
  readonly path: string | null
  readonly byteLength: number | null
  /** Whether the content is a map of a sparse file rather than the file. */
  readonly sparse: boolean
}

/**
 * Reads a header block: v7, ustar, pax and GNU. Null when it is none, or says what cannot be.
 *
 * @see POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
 */
export function parseTarHeader(block: Buffer): TarHeader | null {
  if (!checksumHolds(block)) return null
  const byteLength = parseNumber(block.subarray(124, 136))
  if (byteLength === null) return null
  const name = textOf(block.subarray(0, 100))
  // GNU's own magic, `ustar  `, has other things where the prefix stands.
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textOf(block.subarray(345, 500)) : ''
  const path = prefix === '' ? name : `${prefix}/${name}`
  const flag = block.toString('latin1', 156, 157)
  const typeFlag = flag !== '\0' ? flag : path.endsWith('/') ? '5' : '0'
  return { path, typeFlag, byteLength }
}

/** The sum of the header's bytes, its own eight taken for spaces; some old writers summed signed bytes. */
function checksumHolds(block: Buffer): boolean {
  const told = parseNumber(block.subarray(148, 156))
  let unsigned = 0
  let signed = 0
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0)
    unsigned += byte
    signed += byte < 0x80 ? byte : byte - 0x100
  }
  return told !== null && (told === unsigned || told === signed)
}

/** Octal digits among spaces and NULs, or GNU's base-256. Null when it is neither, negative, or not exact in a number. */
function parseNumber(field: Buffer): number | null {
  const first = field[0] ?? 0
  if (first === 0x80) {
    let value = 0
    for (const byte of field.subarray(1)) value = value * 256 + byte
    return Number.isSafeInteger(value) ? value : null
  }
  const digits = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'))?.[1]
  if (digits === undefined) return null
  return digits === '' ? 0 : parseInt(digits, 8)
}

/** Up to the first NUL. */
export function textOf(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? field.length : end)
}

/** One record of a pax header: its length in decimal, a space, `key=value`, a newline. */
const MAX_LENGTH_DIGITS = 8

/**
 * Reads the records of a pax extended header that say where content is and what it is called. Null when they cannot
 * be read, or readers would differ over them.
 */
export function parsePaxRecords(data: Buffer): TarOverrides | null {
  let path: string | null = null
  let byteLength: number | null = null
  let sparse = false
  let at = 0
  while (at < data.length) {
    const space = data.indexOf(0x20, at)
    const digits = space === -1 || space - at > MAX_LENGTH_DIGITS ? '' : data.toString('latin1', at, space)
    if (!/^[1-9]\d*$/.test(digits)) return null
    const end = at + Number(digits)
    const equals = data.indexOf(0x3d, space)
    if (end > data.length || equals === -1 || equals >= end || data[end - 1] !== 0x0a) return null
    const key = data.toString('utf8', space + 1, equals)
    const value = data.subarray(equals + 1, end - 1)
    if (key === 'path') {
      if (value.includes(0)) return null
      path = value.length === 0 ? null : value.toString('utf8')
    } else if (key === 'size') {
      const text = value.toString('latin1')
      if (text !== '' && !/^\d{1,16}$/.test(text)) return null
      byteLength = text === '' ? null : Number(text)
      if (byteLength !== null && !Number.isSafeInteger(byteLength)) return null
    } else if (key.startsWith('GNU.sparse.')) sparse = true
    at = end
  }
  return { path, byteLength, sparse }
}
