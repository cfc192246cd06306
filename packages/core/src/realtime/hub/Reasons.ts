/** Reasons of a Close frame. */

// RFC 6455 §5.5: a control frame has 125 bytes, of which two are the code.
const longest = 123

const encoder = new TextEncoder()

/** A text that fits into a Close frame, cut where it is too long. */
export const cutReason = (text: string): string => {
  if (encoder.encode(text).length <= longest) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(longest - 3))
  return `${text.slice(0, read)}...`
}
