/**
 * Text to UTF-8 and back, with the means of every JavaScript engine.
 *
 * @internal
 */

// `ignoreBOM` keeps a leading U+FEFF, which is a character of the message.
const decoder = /*#__PURE__*/ new TextDecoder("utf-8", { ignoreBOM: true })
const encoder = /*#__PURE__*/ new TextEncoder()

// Up to here a loop over the units costs less than a call into the engine.
const shortText = 24

/**
 * Decodes `bytes[start, end)`. Invalid sequences become U+FFFD.
 *
 * @internal
 */
export const portableDecodeUtf8 = (bytes: Uint8Array, start: number, end: number): string =>
  decoder.decode(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))

/**
 * Writes `text` as UTF-8 at `offset` and returns the number of bytes written. The
 * caller guarantees room for three bytes per UTF-16 unit; a lone surrogate becomes
 * U+FFFD.
 *
 * @internal
 */
export const portableEncodeUtf8Into = (text: string, target: Uint8Array, offset: number): number => {
  const size = text.length
  if (size <= shortText) {
    let i = 0
    for (; i < size; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) break
      target[offset + i] = unit
    }
    if (i === size) return size
  }
  return encoder.encodeInto(text, offset === 0 ? target : target.subarray(offset)).written
}

/**
 * The exact number of bytes that {@link portableEncodeUtf8Into} writes.
 *
 * @internal
 */
export const portableUtf8Length = (text: string): number => {
  const units = text.length
  let size = units
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) {
      size += 1
    } else {
      size += 2
      // A pair of surrogates is two units and four bytes; a lone one becomes U+FFFD.
      if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < units && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++
    }
  }
  return size
}
