/**
 * Masking (RFC 6455 §5.3) by words. A mask key is a 32-bit integer whose bytes are
 * in the order of the wire when it is stored little-endian: `k0 | k1<<8 | k2<<16 |
 * k3<<24`. It may be negative.
 *
 * @internal
 */
import { maskShared, maskTextShared } from "./Simd.ts"
import { int32Under, littleEndian, uint64Under } from "./Words.ts"

// Below, aligning and fetching a view costs more than the words save.
const bytesBelow = 24
// Below, 32-bit words win; above, unrolled 64-bit words run about twice as fast.
const wideFrom = 192
// Below, one pass by bytes is cheaper than a copy by the engine and a second pass.
const copyFrom = 40

// The only way to make a 64-bit word of two halves without arithmetic on BigInt.
const pair = new Int32Array(2)
const pairWide = new BigUint64Array(pair.buffer)

/**
 * The key as it goes on after so many bytes.
 *
 * @internal
 */
export const rotate = (key: number, bytes: number): number => {
  const bits = (bytes & 3) << 3
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits))
}

// `key` begins at the byte at `start`.
const byBytes = (bytes: Uint8Array, start: number, end: number, key: number): void => {
  let k = key
  for (let i = start; i < end; i++) {
    bytes[i]! ^= k
    k = (k >>> 8) | (k << 24)
  }
}

/**
 * Masks or unmasks `bytes[start, end)`. `phase` is how many payload bytes of the frame
 * precede `start`, modulo 4.
 *
 * @internal
 */
export const maskInPlace = (bytes: Uint8Array, start: number, end: number, key: number, phase: number): void => {
  let k = rotate(key, phase)
  const size = end - start
  if (size < bytesBelow || !littleEndian) return byBytes(bytes, start, end, k)
  if (maskShared(bytes, start, end, k)) return
  const wide = size >= wideFrom
  const base = bytes.byteOffset
  let i = start
  const head = start + (-(base + start) & (wide ? 7 : 3))
  if (i < head) {
    byBytes(bytes, i, head, k)
    k = rotate(k, head - i)
    i = head
  }
  if (wide) {
    const last = Math.floor((base + end) / 8)
    const words = uint64Under(bytes, last)
    pair[0] = k
    pair[1] = k
    const k64 = pairWide[0]!
    let w = (base + i) / 8
    for (const unrolled = last - 3; w < unrolled; w += 4) {
      words[w]! ^= k64
      words[w + 1]! ^= k64
      words[w + 2]! ^= k64
      words[w + 3]! ^= k64
    }
    for (; w < last; w++) words[w]! ^= k64
    i = last * 8 - base
  } else {
    const last = Math.floor((base + end) / 4)
    const words = int32Under(bytes, last)
    let w = (base + i) / 4
    for (const unrolled = last - 3; w < unrolled; w += 4) {
      words[w]! ^= k
      words[w + 1]! ^= k
      words[w + 2]! ^= k
      words[w + 3]! ^= k
    }
    for (; w < last; w++) words[w]! ^= k
    i = last * 4 - base
  }
  // Whole words were masked since the head, so the key is back at its first byte.
  byBytes(bytes, i, end, k)
}

/**
 * The same for a whole text. Returns whether the text is known to be ASCII, so it is
 * inspected even for a key of 0.
 *
 * @internal
 */
export const maskTextInPlace = (bytes: Uint8Array, start: number, end: number, key: number): boolean => {
  const isAscii = maskTextShared(bytes, start, end, key)
  if (isAscii !== undefined) return isAscii
  if (key !== 0) maskInPlace(bytes, start, end, key, 0)
  return false
}

/**
 * Writes `source[sourceStart, sourceEnd)` masked to `target` at `targetStart`. The
 * source is not changed. The two ranges must not overlap.
 *
 * @internal
 */
export const maskInto = (
  source: Uint8Array,
  sourceStart: number,
  sourceEnd: number,
  target: Uint8Array,
  targetStart: number,
  key: number,
  phase: number
): void => {
  const size = sourceEnd - sourceStart
  if (size < copyFrom) {
    let k = rotate(key, phase)
    for (let i = 0; i < size; i++) {
      target[targetStart + i] = source[sourceStart + i]! ^ k
      k = (k >>> 8) | (k << 24)
    }
    return
  }
  const whole = sourceStart === 0 && sourceEnd === source.length
  target.set(whole ? source : source.subarray(sourceStart, sourceEnd), targetStart)
  maskInPlace(target, targetStart, targetStart + size, key, phase)
}

const poolWords = 2048

/**
 * A private pool of mask keys from a cryptographically secure source (RFC 6455 §10.3). A key
 * is used once, and the sender of a payload cannot know it; not even printing the object
 * shows the keys. The pool is allocated when the first key is needed.
 *
 * @internal
 */
export class MaskKeys {
  readonly #randomFill: (bytes: Uint8Array<ArrayBuffer>) => void
  #pool: Int32Array<ArrayBuffer> | undefined = undefined
  #used = poolWords

  constructor(randomFill: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#randomFill = randomFill
  }

  next(): number {
    if (this.#used === poolWords) {
      // The bytes count as fresh only after a fill that did not throw.
      const pool = this.#pool ??= new Int32Array(poolWords)
      this.#randomFill(new Uint8Array(pool.buffer))
      this.#used = 0
    }
    return this.#pool![this.#used++]!
  }
}
