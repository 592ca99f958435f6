/** Bytes that are looked at, and written, together. */
export const VECTOR_BYTES = 16

/** Bytes of an entry in the table of escaped forms: up to six characters, and in the last byte how many they are. */
export const ESCAPED_FORM_BYTES = 8

/** Parameters, then variables. */
const text = 0
const end = 1
const escaped = 2
const special = 3
const length = 4
const form = 5
const vector = 6

/**
 * The body of `escape(text, end, escaped)`. Its arguments are addresses: of the text, of its end, where a 0 stands, and
 * of the room for what comes of it, whose end it returns. The table of escaped forms is at the address 0. It reads and
 * writes up to {@link VECTOR_BYTES} behind both ends.
 */
function escapeBody(): number[] {
  return [
    ...loop(
      // The whole vector is written; what stands behind its first special byte is written over.
      ...get(escaped),
      ...get(text),
      ...V128_LOAD,
      ...tee(vector),
      ...V128_STORE,
      // A bit for each byte below 0x20, quote and backslash.
      ...[...get(vector), ...splat(0x20), ...I8X16_LT_U],
      ...[...get(vector), ...splat(0x22), ...I8X16_EQ, ...V128_OR],
      ...[...get(vector), ...splat(0x5c), ...I8X16_EQ, ...V128_OR],
      ...I8X16_BITMASK,
      ...tee(special),
      ...I32_EQZ,
      ...when(...add(text, i32(VECTOR_BYTES)), ...add(escaped, i32(VECTOR_BYTES)), ...repeat(1)),
      // How many bytes stand before the first of them.
      ...[...get(special), ...I32_CTZ, ...set(length)],
      ...add(text, get(length)),
      ...add(escaped, get(length)),
      ...[...get(text), ...get(end), ...I32_LT_U],
      ...when(
        ...get(escaped),
        ...[...get(text), ...I32_LOAD8_U, ...i32(3), ...I32_SHL, ...I64_LOAD, ...tee(form)],
        ...I64_STORE,
        ...add(escaped, [...get(form), ...i64(56), ...I64_SHR_U, ...I32_WRAP_I64]),
        ...add(text, i32(1)),
        ...repeat(1),
      ),
    ),
    ...get(escaped),
  ]
}

/**
 * A WebAssembly module that imports the memory `js.memory` and exports `escape`. It is assembled here rather than
 * by a compiler, as it is one loop.
 *
 * @see https://webassembly.github.io/spec/core/binary/
 */
export function renderEscapeModule(): Uint8Array<ArrayBuffer> {
  const variables = vectorOf([2, I32], [1, I64], [1, V128])
  return Uint8Array.from([
    ...[...bytesOf('\0asm'), 1, 0, 0, 0],
    ...section(1, [0x60, ...vectorOf([I32], [I32], [I32]), ...vectorOf([I32])]),
    ...section(2, [...name('js'), ...name('memory'), 0x02, 0, 1]),
    ...section(3, [0]),
    ...section(7, [...name('escape'), 0x00, 0]),
    ...section(10, sized([...variables, ...escapeBody(), ...END])),
  ])
}

const I32 = 0x7f
const I64 = 0x7e
const V128 = 0x7b

/** Alignment and offset: none. */
const AT_ADDRESS = [0, 0]
const END = [0x0b]
const I32_LOAD8_U = [0x2d, ...AT_ADDRESS]
const I64_LOAD = [0x29, ...AT_ADDRESS]
const I64_STORE = [0x37, ...AT_ADDRESS]
const I32_EQZ = [0x45]
const I32_LT_U = [0x49]
const I32_CTZ = [0x68]
const I32_ADD = [0x6a]
const I32_SHL = [0x74]
const I64_SHR_U = [0x88]
const I32_WRAP_I64 = [0xa7]
const V128_LOAD = [0xfd, 0x00, ...AT_ADDRESS]
const V128_STORE = [0xfd, 0x0b, ...AT_ADDRESS]
const I8X16_SPLAT = [0xfd, 0x0f]
const I8X16_EQ = [0xfd, 0x23]
const I8X16_LT_U = [0xfd, 0x26]
const V128_OR = [0xfd, 0x50]
const I8X16_BITMASK = [0xfd, 0x64]

const get = (local: number): number[] => [0x20, local]
const set = (local: number): number[] => [0x21, local]
const tee = (local: number): number[] => [0x22, local]
const i32 = (value: number): number[] => [0x41, ...signed(value)]
const i64 = (value: number): number[] => [0x42, ...signed(value)]
const splat = (byte: number): number[] => [...i32(byte), ...I8X16_SPLAT]
const add = (local: number, value: number[]): number[] => [...get(local), ...value, ...I32_ADD, ...set(local)]
const loop = (...body: number[]): number[] => [0x03, 0x40, ...body, ...END]
const when = (...body: number[]): number[] => [0x04, 0x40, ...body, ...END]
/** Begins the loop anew that is so many blocks further out. */
const repeat = (depth: number): number[] => [0x0c, depth]

const bytesOf = (characters: string): number[] => [...Buffer.from(characters, 'latin1')]
const name = (characters: string): number[] => sized(bytesOf(characters))
const sized = (bytes: number[]): number[] => [...unsigned(bytes.length), ...bytes]
const vectorOf = (...items: number[][]): number[] => [items.length, ...items.flat()]
const section = (id: number, item: number[]): number[] => [id, ...sized(vectorOf(item))]

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [0x80 | (value & 0x7f), ...unsigned(value >> 7)]
}

function signed(value: number): number[] {
  return value < 0x40 ? [value] : [0x80 | (value & 0x7f), ...signed(value >> 7)]
}
