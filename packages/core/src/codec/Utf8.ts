/**
 * UTF-8 validation (RFC 3629) that is incremental and fails at the first byte that no valid
 * text can have there: overlong forms, surrogates and values above U+10FFFF are refused at
 * their second byte, before the sequence is complete.
 *
 * @internal
 */
import { int32Under, littleEndian } from "./Words.ts"

const highBits = 0x80808080 | 0

// The first index from `start` on that is not ASCII, or `end`.
const skipAscii = (bytes: Uint8Array, start: number, end: number): number => {
  let i = start
  if (littleEndian && end - start >= 24) {
    const base = bytes.byteOffset
    const head = start + (-(base + start) & 3)
    while (i < head) {
      if (bytes[i]! > 0x7f) return i
      i++
    }
    const whole = Math.floor((base + end) / 4)
    const words = int32Under(bytes, whole)
    const last = whole - 3
    let w = (base + i) / 4
    while (w < last && ((words[w]! | words[w + 1]! | words[w + 2]! | words[w + 3]!) & highBits) === 0) w += 4
    i = w * 4 - base
  }
  while (i < end && bytes[i]! < 0x80) i++
  return i
}

/**
 * Where the last character of `bytes[start, end)` begins if it is not whole, or `end`.
 *
 * @internal
 */
export const endOfWhole = (bytes: Uint8Array, start: number, end: number): number => {
  for (let i = end - 1; i >= start && i >= end - 3; i--) {
    const byte = bytes[i]!
    if (byte < 0x80) return end
    if (byte >= 0xc0) return i + (byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) > end ? i : end
  }
  return end
}

/**
 * Validates a text that arrives in pieces.
 *
 * @internal
 */
export class Utf8Validator {
  /** Continuation bytes that the last character still lacks. */
  missing = 0
  // The bounds of the next one.
  private lower = 0x80
  private upper = 0xbf
  private failed = false

  /**
   * Whether the text so far can still become UTF-8. Once `false`, it stays `false`
   * until `reset`.
   */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.failed) return false
    let i = start
    while (this.missing > 0) {
      if (i >= end) return true
      const byte = bytes[i++]!
      if (byte < this.lower || byte > this.upper) return this.fail()
      this.lower = 0x80
      this.upper = 0xbf
      this.missing--
    }
    i = skipAscii(bytes, i, end)
    let run = 0
    while (i < end) {
      const first = bytes[i]!
      if (first < 0x80) {
        i++
        // Text of another script has short runs of ASCII, for which words do not pay.
        if (++run === 16) {
          i = skipAscii(bytes, i, end)
          run = 0
        }
      } else {
        run = 0
        // Whole sequences of two and three bytes, with no special second byte: most text.
        if (first >= 0xc2 && first < 0xe0 && i + 1 < end) {
          if ((bytes[i + 1]! & 0xc0) !== 0x80) return this.fail()
          i += 2
          continue
        }
        if (first > 0xe0 && first < 0xed && i + 2 < end) {
          if ((bytes[i + 1]! & 0xc0) !== 0x80 || (bytes[i + 2]! & 0xc0) !== 0x80) return this.fail()
          i += 3
          continue
        }
        // RFC 3629 §4: the second byte of E0, ED, F0 and F4 is bounded further.
        let missing: number
        let lower = 0x80
        let upper = 0xbf
        if (first < 0xe0) {
          if (first < 0xc2) return this.fail()
          missing = 1
        } else if (first < 0xf0) {
          missing = 2
          if (first === 0xe0) lower = 0xa0
          else if (first === 0xed) upper = 0x9f
        } else {
          if (first > 0xf4) return this.fail()
          missing = 3
          if (first === 0xf0) lower = 0x90
          else if (first === 0xf4) upper = 0x8f
        }
        i++
        if (i < end) {
          const second = bytes[i]!
          if (second < lower || second > upper) return this.fail()
          i++
          missing--
          lower = 0x80
          upper = 0xbf
          while (missing > 0 && i < end) {
            if ((bytes[i]! & 0xc0) !== 0x80) return this.fail()
            i++
            missing--
          }
        }
        if (missing > 0) {
          this.missing = missing
          this.lower = lower
          this.upper = upper
        }
      }
    }
    return true
  }

  /** Whether the text so far ends at the end of a character. */
  isComplete(): boolean {
    return !this.failed && this.missing === 0
  }

  /** Prepares for the next text. */
  reset(): void {
    this.missing = 0
    this.lower = 0x80
    this.upper = 0xbf
    this.failed = false
  }

  private fail(): false {
    this.failed = true
    return false
  }
}

const once = new Utf8Validator()

/**
 * Whether `bytes[start, end)` is UTF-8.
 *
 * @internal
 */
export const isUtf8 = (bytes: Uint8Array, start: number, end: number): boolean => {
  once.reset()
  return once.push(bytes, start, end) && once.isComplete()
}
