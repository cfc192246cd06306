/**
 * Writes the header of a frame (RFC 6455 §5.2), its length in the shortest form.
 *
 * @internal
 */

/**
 * The size of the header of a frame.
 *
 * @internal
 */
export const headerLength = (payloadLength: number, masked: boolean): number =>
  (payloadLength < 126 ? 2 : payloadLength < 0x10000 ? 4 : 10) + (masked ? 4 : 0)

/**
 * Writes a header at `offset` and returns the offset behind it. `firstByte` is
 * `fin << 7 | rsv << 4 | opcode`; `maskKey` has the form of `Mask.ts`.
 *
 * @internal
 */
export const writeHeader = (
  target: Uint8Array,
  offset: number,
  firstByte: number,
  payloadLength: number,
  masked: boolean,
  maskKey: number
): number => {
  const maskBit = masked ? 0x80 : 0
  target[offset] = firstByte
  let at: number
  if (payloadLength < 126) {
    target[offset + 1] = maskBit | payloadLength
    at = offset + 2
  } else if (payloadLength < 0x10000) {
    target[offset + 1] = maskBit | 126
    target[offset + 2] = payloadLength >>> 8
    target[offset + 3] = payloadLength
    at = offset + 4
  } else {
    const high = Math.floor(payloadLength / 0x100000000)
    target[offset + 1] = maskBit | 127
    target[offset + 2] = high >>> 24
    target[offset + 3] = high >>> 16
    target[offset + 4] = high >>> 8
    target[offset + 5] = high
    target[offset + 6] = payloadLength >>> 24
    target[offset + 7] = payloadLength >>> 16
    target[offset + 8] = payloadLength >>> 8
    target[offset + 9] = payloadLength
    at = offset + 10
  }
  if (masked) {
    target[at] = maskKey
    target[at + 1] = maskKey >>> 8
    target[at + 2] = maskKey >>> 16
    target[at + 3] = maskKey >>> 24
    at += 4
  }
  return at
}
