/**
 * Word views over the buffers that the codec uses repeatedly. Making a typed-array view costs
 * more than masking a small frame, so the views of the last buffer are kept.
 *
 * @internal
 */

/** Masking and scanning by words needs the byte order of the wire inside a word. */
export const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

// A kept view keeps its buffer alive. Read and write buffers are far smaller than this. The large
// buffer of a message gets a view of its own, whose cost is small per byte.
const keepUpTo = 0x40000

let int32Bytes = new Uint8Array(0)
let int32Words = new Int32Array(0)
let uint64Bytes = new Uint8Array(0)
let uint64Words = new BigUint64Array(0)

/**
 * The 32-bit words of the buffer under `bytes`, at least `count` of them.
 *
 * @internal
 */
export const int32Under = (bytes: Uint8Array, count: number): Int32Array => {
  // The same array means the same buffer, without the slow accessor for it. The
  // length is compared because a resizable buffer may have grown.
  if (int32Bytes === bytes && count <= int32Words.length) return int32Words
  const buffer = bytes.buffer as ArrayBuffer
  let words = int32Words
  if (words.buffer !== buffer || count > words.length) {
    words = new Int32Array(buffer, 0, Math.floor(buffer.byteLength / 4))
    if (buffer.byteLength > keepUpTo) return words
  }
  int32Bytes = bytes as Uint8Array<ArrayBuffer>
  int32Words = words
  return words
}

/**
 * The 64-bit words of the buffer under `bytes`, at least `count` of them.
 *
 * @internal
 */
export const uint64Under = (bytes: Uint8Array, count: number): BigUint64Array => {
  if (uint64Bytes === bytes && count <= uint64Words.length) return uint64Words
  const buffer = bytes.buffer as ArrayBuffer
  let words = uint64Words
  if (words.buffer !== buffer || count > words.length) {
    words = new BigUint64Array(buffer, 0, Math.floor(buffer.byteLength / 8))
    if (buffer.byteLength > keepUpTo) return words
  }
  uint64Bytes = bytes as Uint8Array<ArrayBuffer>
  uint64Words = words
  return words
}
